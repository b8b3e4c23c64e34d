"""Time windows: which columns can tell one from another, and how their bounds are written."""

from datetime import UTC, datetime, time, timedelta

from dagster import TimeWindow

from purchase_pipeline.postgres.errors import UnusableMetadataError
from purchase_pipeline.postgres.schema.types import ColumnType, family, sql

_TIMES = ("timestamp", "zoned timestamp", "date")


def check_window(expression: str, window: TimeWindow, column_type: ColumnType) -> None:
    """Make sure that a column of that type can tell which rows are the window's.

    Raises:
        UnusableMetadataError: it is no time, or a coarser one; or the clock on the wall shows a bound twice.
    """
    kind = family(column_type)
    if kind not in _TIMES:
        raise UnusableMetadataError(
            f"partition_expr {expression!r} is {sql(column_type)}, and time windows need a DATE or "
            f"TIMESTAMP: name another column, or cast this one (CAST(... AS TIMESTAMP)).",
            column=expression,
        )
    if kind == "date" and any(bound.time() != time.min for bound in window):
        raise UnusableMetadataError(
            f"partition_expr {expression!r} is a DATE, which cannot tell the hours of a day apart.",
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
    """Return a bound as PostgreSQL reads it: an instant, or for a column without a zone the wall's time."""
    return bound.isoformat(sep=" ")


def in_utc(bound: datetime) -> datetime:
    """Return a bound in UTC: Python compares two of one zone by the clock on the wall, which may be set back."""
    return bound.astimezone(UTC)


def _is_repeated(bound: datetime) -> bool:
    """Tell whether the clock shows a bound's time, or times on both its sides, a second time.

    Where clocks are set back, what is shown twice is one partition's if both its passes are: the beginning of the
    first and the end of the second are good bounds.
    """
    return _is_ambiguous(bound) and (bound.fold == 1 or _is_ambiguous(bound - timedelta.resolution))


def _is_ambiguous(moment: datetime) -> bool:
    first, second = (moment.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return first > second
