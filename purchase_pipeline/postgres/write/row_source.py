"""What is to be written, whatever it came as: its columns, whether they fit a table's, how they are put into it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import sqlalchemy as sa

from purchase_pipeline.postgres.errors import SchemaDriftError
from purchase_pipeline.postgres.frames.rows import Batch, DeclaredBatch, Row
from purchase_pipeline.postgres.schema.native_types import NativeType
from purchase_pipeline.postgres.schema.types import ColumnType
from purchase_pipeline.postgres.write.copy import CopyResult, copy_rows

Fits = Callable[[str, NativeType], bool]


@dataclass(frozen=True)
class RowSource:
    """Rows on their way into a table.

    Attributes:
        types: their columns, in order.
        fits: tells of a column, and of the type of the table's, whether it goes in unchanged as far as is known.
        copy_into: writes them all into a table that has the columns.
        counted: whether it fails where the table takes fewer than there are; else it cannot know.
        declared: whether they are taken at their word.
    """

    types: Mapping[str, ColumnType]
    fits: Fits
    copy_into: Callable[[sa.Table], CopyResult]
    counted: bool
    declared: bool = False


def declared_source(
    connection: sa.Connection, first: DeclaredBatch, batches: Iterator[Batch | DeclaredBatch]
) -> RowSource:
    """Return rows of a declared table as what is to be written: taken at their word."""

    def rows(table: sa.Table) -> Iterator[Row]:
        for batch in chain([first], batches):
            if not isinstance(batch, DeclaredBatch) or batch.declared is not first.declared:
                difference = "a batch is not of the first one's declaration"
                raise SchemaDriftError(str(table), [difference], "Nothing was changed.")
            yield from batch.rows

    def copy_into(table: sa.Table) -> CopyResult:
        return copy_rows(connection, table, list(first.types), rows(table))

    return RowSource(first.types, lambda _name, _real: True, copy_into, counted=True, declared=True)
