"""Partitions of a range: the slice of each, and its number of rows."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import prod
from types import MappingProxyType
from typing import Any, NamedTuple

import dagster as dg
import sqlalchemy as sa
from dagster import TimeWindow

from purchase_pipeline.postgres.dagster_internals import RawMetadataValue, TablePartitionDimension, TableSlice
from purchase_pipeline.postgres.errors import UnusableMetadataError
from purchase_pipeline.postgres.slices.conditions import (
    check_windows,
    expression_of,
    quoted_list,
    slice_conditions,
    untyped,
)
from purchase_pipeline.postgres.slices.windows import bound_text, in_utc

_Window = TimeWindow | Sequence[str]


class Target(NamedTuple):
    """What is written: a slice, its partition keys (none for a whole table), and metadata given for it."""

    table_slice: TableSlice
    keys: Sequence[str]
    metadata: Mapping[str, RawMetadataValue] = MappingProxyType({})

    def is_of(self, context: dg.OutputContext) -> bool:
        """Return whether the table is the output's own, and not a companion table."""
        return not context.has_asset_key or context.asset_key.path[-1] == self.table_slice.table


def dimensions_of(
    definition: dg.MultiPartitionsDefinition, partition_expr: object, keys: Sequence[str]
) -> list[TablePartitionDimension]:
    """Return the slice that the partitions cover together, as one window or set of keys per dimension.

    Raises:
        UnusableMetadataError: a dimension without an expression; or partitions that do not cover the slice between
            them, so that replacing it would delete others.
    """
    expressions = partition_expr if isinstance(partition_expr, Mapping) else {}
    missing = [part.name for part in definition.partitions_defs if not expressions.get(part.name)]
    if missing:
        raise UnusableMetadataError(
            f"partition_expr is {partition_expr!r}; it needs an expression for each dimension; missing: "
            f"{', '.join(map(repr, missing))}."
        )
    columns = list(zip(*(_windows(definition, key) for key in keys), strict=True)) or [()] * len(expressions)
    merged = [_merged(windows) for windows in columns]
    if prod(size for _, size in merged) != len(keys):
        raise UnusableMetadataError(
            f"The {len(keys)} partitions of this run do not cover all combinations of their dimensions: "
            "run them one by one."
        )
    return [
        TablePartitionDimension(expressions[part.name], window)
        for part, (window, _) in zip(definition.partitions_defs, merged, strict=True)
    ]


def slice_of_partition(
    table_slice: TableSlice, definition: dg.PartitionsDefinition[str], key: str
) -> TableSlice:
    """Return the slice of one partition of a range."""
    return table_slice._replace(
        partition_dimensions=[
            dimension._replace(partitions=window)
            for dimension, window in zip(
                table_slice.partition_dimensions or (), _windows(definition, key), strict=True
            )
        ]
    )


def rows_by_partition(
    connection: sa.Connection, table: sa.Table, target: Target, definition: dg.PartitionsDefinition[str]
) -> dict[str, int]:
    """Count the rows of each partition of a slice, in one scan.

    Raises:
        UnusableMetadataError: the column cannot distinguish the time windows.
    """
    table_slice = target.table_slice
    windows = {key: _windows(definition, key) for key in target.keys}
    columns = list(zip(*windows.values(), strict=True))
    for dimension, column in zip(table_slice.partition_dimensions or (), columns, strict=True):
        check_windows(connection, table, dimension, column)
    starts = [_starts(column) for column in columns]
    buckets = [
        _bucket(expression_of(table, dimension), dimension.partitions, places)
        for dimension, places in zip(table_slice.partition_dimensions or (), starts, strict=True)
    ]
    counts = connection.execute(
        sa.select(*buckets, sa.func.count())
        .select_from(table)
        .where(*slice_conditions(connection, table, table_slice))
        .group_by(*(sa.literal_column(str(place)) for place in range(1, len(buckets) + 1)))
    )
    found = {tuple(bucket): count for *bucket, count in counts}
    return {
        key: found.get(
            tuple(places.index(_start(window)) + 1 for places, window in zip(starts, of_key, strict=True)), 0
        )
        for key, of_key in windows.items()
    }


def _windows(definition: dg.PartitionsDefinition[str], key: str) -> list[_Window]:
    if isinstance(definition, dg.MultiPartitionsDefinition):
        keys = definition.get_partition_key_from_str(key).keys_by_dimension
        return [_windows(part.partitions_def, keys[part.name])[0] for part in definition.partitions_defs]
    if isinstance(definition, dg.TimeWindowPartitionsDefinition):
        return [definition.time_window_for_partition_key(key)]
    return [[key]]


def _merged(windows: Iterable[_Window]) -> tuple[_Window, int]:
    """Merge windows of one dimension; return also how many distinct ones there are, 0 if there is a gap in time."""
    times = {in_utc(window.start): window for window in windows if isinstance(window, TimeWindow)}
    if times:
        ordered = [times[start] for start in sorted(times)]
        gap = any(in_utc(one.end) != in_utc(other.start) for one, other in pairwise(ordered))
        return TimeWindow(ordered[0].start, ordered[-1].end), 0 if gap else len(times)
    keys = list(dict.fromkeys(_start(window) for window in windows))
    return keys, len(keys)


def _starts(windows: Sequence[_Window]) -> list[str]:
    """Return the distinct starts of the windows, in order of time."""
    times = {in_utc(window.start): window for window in windows if isinstance(window, TimeWindow)}
    return [_start(times[start]) for start in sorted(times)] or list(dict.fromkeys(map(_start, windows)))


def _start(window: _Window) -> str:
    return bound_text(window.start) if isinstance(window, TimeWindow) else window[0]


def _bucket(
    expression: sa.ColumnElement[Any], partitions: _Window, places: Sequence[str]
) -> sa.ColumnElement[int]:
    """Return the 1-based number of the partition that a row belongs to."""
    listed = untyped(quoted_list(places))
    if isinstance(partitions, TimeWindow):
        return sa.func.width_bucket(expression, listed)
    return sa.func.array_position(listed, expression)
