"""Time windows: which columns can distinguish them, and how their bounds are written."""

from datetime import UTC, datetime, time, timedelta

from dagster import TimeWindow

from purchase_pipeline.postgres.errors import UnusableMetadataError
from purchase_pipeline.postgres.schema.types import ColumnType, family, sql

_TIMES = ("timestamp", "zoned timestamp", "date")


def check_window(expression: str, window: TimeWindow, column_type: ColumnType) -> None:
    """Check that a column of the type can tell which rows belong to the window.

    Raises:
        UnusableMetadataError: it is not a time, is too coarse, or a bound is ambiguous in local time.
    """
    kind = family(column_type)
    if kind not in _TIMES:
        raise UnusableMetadataError(
            f"partition_expr {expression!r} is {sql(column_type)}, but time windows need a DATE or "
            f"TIMESTAMP: use another column, or cast this one (CAST(... AS TIMESTAMP)).",
            column=expression,
        )
    if kind == "date" and any(bound.time() != time.min for bound in window):
        raise UnusableMetadataError(
            f"partition_expr {expression!r} is a DATE, which cannot distinguish hours. Use a TIMESTAMP column.",
            column=expression,
        )
    if kind == "timestamp" and any(map(_is_repeated, window)):
        raise UnusableMetadataError(
            f"partition_expr {expression!r} is {sql(column_type)}, and clocks in {window.start.tzinfo} are set back at "
            f"the partition from {bound_text(window.start)} to {bound_text(window.end)}: a time without a zone is of "
            "two partitions there. Use a column of TIMESTAMP WITH TIME ZONE, or partitions in UTC.",
            column=expression,
        )


def bound_text(bound: datetime) -> str:
    """Return a bound as PostgreSQL parses it: an instant, or the local time for a column without a zone."""
    return bound.isoformat(sep=" ")


def in_utc(bound: datetime) -> datetime:
    """Return a bound in UTC: Python compares two datetimes of one zone by local time, which may be set back."""
    return bound.astimezone(UTC)


def _is_repeated(bound: datetime) -> bool:
    """Return whether the bound's local time, or the times on both its sides, occur twice.

    Where clocks are set back, the beginning of the first pass and the end of the second are valid bounds: both passes
    then belong to one partition.
    """
    return _is_ambiguous(bound) and (bound.fold == 1 or _is_ambiguous(bound - timedelta.resolution))


def _is_ambiguous(moment: datetime) -> bool:
    first, second = (moment.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return first > second
