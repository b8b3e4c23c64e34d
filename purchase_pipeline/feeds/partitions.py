"""Partitions as a source requests them: the variables of its templates."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import dagster as dg

WHOLE = ""
"""The key of a feed without partitions, in the ledger and the landing."""


def keys_of(context: dg.AssetExecutionContext) -> list[str]:
    """Return the run's partitions; of a feed without partitions, the one that is the whole."""
    partitioned = context.has_partition_key_range or context.has_partition_key
    return list(context.partition_keys) if partitioned else [WHOLE]


def variable_names(partitions: dg.PartitionsDefinition[str] | None) -> set[str]:
    """Return the names of the variables that `variables_of` gives for a partition."""
    if isinstance(partitions, dg.MultiPartitionsDefinition):
        parts = partitions.partitions_defs
        return {part.name for part in parts}.union(*(variable_names(part.partitions_def) for part in parts))
    return {"start", "end", "last"} if isinstance(partitions, dg.TimeWindowPartitionsDefinition) else set()


def variables_of(partitions: dg.PartitionsDefinition[str] | None, key: str) -> dict[str, Any]:
    """Return the variables of a partition.

    A time window has `start` and `end`, in its own time zone, and `last`, the last day in it. Each dimension of a
    multi-partition has its name; a dimension of time has its window's variables too.

    Args:
        partitions: the feed's partitions; None if it has none.
        key: the partition's key.
    """
    if isinstance(partitions, dg.MultiPartitionsDefinition):
        keys = partitions.get_partition_key_from_str(key).keys_by_dimension
        found: dict[str, Any] = dict(keys)
        for part in partitions.partitions_defs:
            found |= variables_of(part.partitions_def, keys[part.name])
        return found
    if isinstance(partitions, dg.TimeWindowPartitionsDefinition):
        window = partitions.time_window_for_partition_key(key)
        return {"start": window.start, "end": window.end, "last": window.end - timedelta(microseconds=1)}
    return {}


@lru_cache(maxsize=100_000)
def end_of_window(partitions: dg.TimeWindowPartitionsDefinition, key: str) -> datetime:
    """Return the end of a time window."""
    return partitions.time_window_for_partition_key(key).end


def keys_sort_by_time(partitions: dg.PartitionsDefinition[str] | None) -> bool:
    """Return whether partitions are time windows whose keys, as text, sort as the windows do."""
    return isinstance(partitions, dg.TimeWindowPartitionsDefinition) and partitions.fmt.startswith(
        ("%Y-%m-%d", "%Y%m%d")
    )
