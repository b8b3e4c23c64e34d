"""What is wrong with a feed's declaration: values out of bounds, attributes that exclude others."""

from collections.abc import Callable, Iterator
from math import inf
from typing import TYPE_CHECKING, Any

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.feeds.partitions import variable_names
from purchase_pipeline.ingest.retention import Retention
from purchase_pipeline.ingest.sources.function import FunctionSource
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.ingest.sources.http_attributes import problem_of
from purchase_pipeline.ingest.sources.request import TemplateError
from purchase_pipeline.ingest.writing import Since

if TYPE_CHECKING:
    from purchase_pipeline.feeds.declaration import FeedDeclaration

Problem = tuple[str, str]
"""What is wrong, and what to do."""


def _is_days(days: Any) -> bool:  # noqa: ANN401  (what was declared)
    return days is None or (type(days) is int and days in range(1, 36_501))


_BOUNDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_rejected_ratio": (lambda ratio: 0 < ratio <= 1, "a ratio above 0, at most 1"),
    "min_rejected_rows": (lambda rows: rows >= 0, "a number of rows, from 0"),
    "every": (lambda seconds: 0 < seconds < inf, "seconds, above 0"),
    "reload_windows": (lambda windows: windows in range(1_000_000), "a number of windows, from 0"),
    "partitions_per_run": (lambda keys: keys in range(1, 1_000_000), "a number of partitions, from 1"),
    "retention": (lambda kept: all(map(_is_days, vars(kept or Retention()).values())), "days, from 1"),
    "hash_partitions": (lambda parts: parts in {None, 0, *range(2, 1025)}, "a number from 2 to 1,024"),
}
_WITH_OVERLAP = (sa.DateTime, sa.Date, sa.Integer, sa.Numeric)


def problems_of(feed: "FeedDeclaration") -> Iterator[Problem]:
    """Yield the problems of a feed, whose defaults are filled in."""
    for name, (accepts, accepted) in _BOUNDS.items():
        value = getattr(feed, name)
        try:
            accepted_value = accepts(value)
        except TypeError:
            accepted_value = False
        if not accepted_value:
            yield f"{name} is {value}", f"Set it to {accepted}."
    yield from _problems_of_source(feed)
    yield from _problems_of_times(feed)


def _problems_of_source(feed: "FeedDeclaration") -> Iterator[Problem]:
    source = feed.source
    if isinstance(source, FunctionSource) and not callable(source.function):
        yield (
            f"source: {source.function!r} is not a function",
            "Give a function from a PartitionRequest to rows.",
        )
    if not isinstance(source, HttpSource):
        return
    if problem := problem_of(source):
        yield f"source: {problem}", ""
    known = {"partition_key", *feed.variables, *variable_names(feed.partitions)}
    known |= {"since"} if feed.since is not None else set()
    try:
        unknown = sorted(source.variables - known)
    except TemplateError as error:
        yield f"source: {error}".rstrip("."), ""
        return
    if unknown:
        yield (
            f"its source has an unknown variable {{{unknown[0]}}}",
            f"Known: {', '.join(sorted(known))}, and those of for_each.",
        )


def _problems_of_times(feed: "FeedDeclaration") -> Iterator[Problem]:
    """Check what depends on partitions being time windows, or none."""
    if feed.since is not None:
        yield from _problems_of_since(feed, feed.since)
    if feed.reload_windows and not isinstance(feed.partitions, dg.TimeWindowPartitionsDefinition):
        yield "reload_windows is for partitions that are time windows", ""
    if feed.schedule is None:
        return
    if feed.partitions is not None:
        yield (
            "schedule is for a feed without partitions",
            "Remove it: the sensor requests missing partitions, one in `every` seconds.",
        )
    try:
        dg.ScheduleDefinition(job_name=feed.job, cron_schedule=feed.schedule)
    except dg.DagsterInvalidDefinitionError:
        yield f"schedule is {feed.schedule!r}", "Set it to a cron expression, such as 0 6 * * *."


def _problems_of_since(feed: "FeedDeclaration", since: Since) -> Iterator[Problem]:
    if feed.partitions is not None or not feed.write.merges:
        yield (
            "`since` is for a feed without partitions that upserts or inserts",
            "Remove `partitions`, and set `write`; or remove `since`.",
        )
    if since.field not in feed.tables.contract.model_fields:
        yield f"since {since.field!r} is not a field of the contract", ""
        return
    if not 0 <= since.overlap < inf:
        yield f"since: overlap is {since.overlap}", "Set it to a number from 0."
    if since.overlap and not isinstance(feed.tables.accepted.columns[since.field].type, _WITH_OVERLAP):
        yield (
            f"since: an overlap cannot be subtracted from {since.field!r}",
            "Remove it: an overlap is for times, dates and numbers.",
        )
