"""The partitions of a new feed, and the one that is requested for it."""

import json
from typing import Any, NamedTuple

from purchase_pipeline.ingest.sources.request import PartitionRequest

WINDOWS = ("hourly", "daily", "weekly", "monthly")
_LONG_AGO = {"hourly": "1970-01-01-00:00"}


class Partitioning(NamedTuple):
    """Partitions in Python and in YAML, and the request for one of them."""

    python: str
    yaml: dict[str, Any]
    request: PartitionRequest


def partitioning(words: str, key: str | None) -> Partitioning:
    """Return the partitions that words name: `none`, `daily`, or keys with commas between them.

    Args:
        words: the words.
        key: the partition to request, which is the first of time windows; by default the last complete one, or the
            first of keys.

    Raises:
        ValueError: there is no such partition.
    """
    if words == "none":
        if key:
            raise ValueError(f"{key!r} is not a partition: there are none")
        return Partitioning("", {}, PartitionRequest(""))
    if words not in WINDOWS and "," not in words:
        raise ValueError(f"{words!r} is none of {', '.join(WINDOWS)}, and not a list such as north,south")
    # Imported on demand: Dagster takes a second.
    import dagster as dg  # noqa: PLC0415

    from purchase_pipeline.feeds.partitions import variables_of  # noqa: PLC0415

    every: dg.PartitionsDefinition[str]
    in_yaml: dict[str, Any]
    if words in WINDOWS:
        name = f"{words.title()}PartitionsDefinition"
        every = getattr(dg, name)(_LONG_AGO.get(words, "1970-01-01"))
        key = key or str(every.get_last_partition_key())
        python = f'dg.{name}("{key}")'
        in_yaml = {"type": words, "start_date": key}
    else:
        keys = [*dict.fromkeys(each.strip() for each in words.split(",") if each.strip())]
        every = dg.StaticPartitionsDefinition(keys)
        key = key or keys[0]
        python = f"dg.StaticPartitionsDefinition({json.dumps(keys, ensure_ascii=False)})"
        in_yaml = {"type": "static", "partition_keys": keys}
    if not every.has_partition_key(key):
        raise ValueError(f"{key!r} is not one of the {words} partitions")
    return Partitioning(python, in_yaml, PartitionRequest(key, variables_of(every, key)))
