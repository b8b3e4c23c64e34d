"""Batches made to fit one table: its columns in one order, each value as its column takes it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

import sqlalchemy as sa

from purchase_pipeline.postgres.errors import RefusedValueError, SchemaDriftError, UnstorableValueError
from purchase_pipeline.postgres.frames.rows import Batch, Row
from purchase_pipeline.postgres.schema.types import UNKNOWN, ColumnType, sql
from purchase_pipeline.postgres.write.casts import Cast, cast_between, unchanged

_REMEDY = (
    "Nothing was changed. The first batch settled the table's columns: give every batch the same ones, or declare them "
    'with metadata={"row_model": ...}.'
)


def next_batch(batches: Iterator[Batch], table: str, rows_before: int) -> Batch | None:
    """Return the next batch, or None.

    Raises:
        UnstorableValueError: a column or value that PostgreSQL has no type for.
    """
    try:
        return next(batches, None)
    except RefusedValueError as error:
        row = None if error.position is None else rows_before + error.position + 1
        raise UnstorableValueError(table, row, error.column, str(error)) from error


def fitted_rows(first: Batch, batches: Iterator[Batch], table: sa.Table) -> Iterator[Row]:
    """Yield the rows of all batches, in the order of the first one's columns.

    Raises:
        SchemaDriftError: a batch whose columns are not the first one's.
        UnstorableValueError: a value that its column would change.
    """
    batch: Batch | None = first
    names, number = list(first.types), 0
    types: Mapping[str, ColumnType] | None = None
    for place in count(1):
        if batch is None:
            return
        if batch.types is not types:  # a declared stream's batches share theirs
            types, casts = batch.types, _casts(batch, names, table, place)
            order = None if list(types) == names else [list(types).index(name) for name in names]
        for row in batch.rows:
            number += 1
            ordered = row if order is None else [row[position] for position in order]
            yield _fitted(ordered, casts, str(table), number) if casts else ordered
        batch = next_batch(batches, str(table), number)


def _casts(batch: Batch, names: Sequence[str], table: sa.Table, place: int) -> list[tuple[int, str, Cast]]:
    """Return the casts that change or refuse something, each with its position in a row."""
    differences = [
        f"column {name!r} is missing in batch {place}" for name in names if name not in batch.types
    ]
    differences += [
        f"column {name!r} is in batch {place}, and not in the first"
        for name in batch.types
        if name not in names
    ]
    casts = []
    for position, name in enumerate(names):
        incoming, column = batch.types.get(name, UNKNOWN), table.columns[name].type
        cast = cast_between(incoming, column)
        if cast is None:
            differences.append(f"column {name!r} is {sql(column)}, and {sql(incoming)} in batch {place}")
        elif cast is not unchanged:
            casts.append((position, name, cast))
    if differences:
        raise SchemaDriftError(str(table), differences, _REMEDY)
    return casts


def _fitted(row: Row, casts: Sequence[tuple[int, str, Cast]], table: str, number: int) -> Row:
    values = list(row)
    for position, name, cast in casts:
        if values[position] is not None:
            try:
                values[position] = cast(values[position])
            except (ValueError, TypeError, OverflowError, AttributeError) as error:
                raise UnstorableValueError(table, number, name, str(error)) from error
    return values
