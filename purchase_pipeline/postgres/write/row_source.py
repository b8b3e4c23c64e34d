"""Rows to write, whatever they came from: their columns, whether these fit a table, how to copy them into it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import sqlalchemy as sa

from purchase_pipeline.postgres.errors import SchemaDriftError
from purchase_pipeline.postgres.frames.rows import Batch, CopyText, DeclaredBatch, Row
from purchase_pipeline.postgres.schema.native_types import NativeType
from purchase_pipeline.postgres.schema.types import ColumnType
from purchase_pipeline.postgres.write.copy import CopyResult, copy_declared

Fits = Callable[[str, NativeType], bool]


@dataclass(frozen=True)
class RowSource:
    """Rows to write to a table.

    Attributes:
        types: column types, in order.
        fits: returns whether a column's values fit the table's type unchanged, as far as is known.
        copy_into: writes all rows to a table that has the columns.
        counted: whether it raises if the table stores fewer rows; otherwise it cannot know.
        declared: whether the types are declared, and only PostgreSQL checks values.
    """

    types: Mapping[str, ColumnType]
    fits: Fits
    copy_into: Callable[[sa.Table], CopyResult]
    counted: bool
    declared: bool = False


def declared_source(
    connection: sa.Connection, first: DeclaredBatch, batches: Iterator[Batch | DeclaredBatch]
) -> RowSource:
    """Return a source for rows of a declared table, whose values only PostgreSQL checks."""

    def rows(table: sa.Table) -> Iterator[Iterable[Row] | CopyText]:
        for batch in chain([first], batches):
            if not isinstance(batch, DeclaredBatch) or batch.declared is not first.declared:
                difference = "a batch has another declaration than the first"
                raise SchemaDriftError(str(table), [difference], "Nothing was changed.")
            yield batch.rows

    def copy_into(table: sa.Table) -> CopyResult:
        return copy_declared(connection, table, list(first.types), rows(table))

    return RowSource(first.types, lambda _name, _real: True, copy_into, counted=True, declared=True)
