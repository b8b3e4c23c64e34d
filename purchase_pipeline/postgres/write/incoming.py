"""What is to be written, whatever it came as: its columns, whether they fit a table's, how they are put into it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import sqlalchemy as sa

from purchase_pipeline.postgres.errors import SchemaDriftError
from purchase_pipeline.postgres.frames.rows import Batch, DeclaredBatch, Row
from purchase_pipeline.postgres.schema.real_types import RealType
from purchase_pipeline.postgres.schema.types import ColumnType
from purchase_pipeline.postgres.write.copy import Copied, copy_rows

Fits = Callable[[str, RealType], bool]


@dataclass(frozen=True)
class Incoming:
    """Rows on their way into a table.

    Attributes:
        types: their columns, in order.
        fits: tells of a column, and of the type of the table's, whether it goes in unchanged as far as is known.
        put_into: writes them all into a table that has the columns.
        counted: whether it fails where the table takes fewer than there are; else it cannot know.
        declared: whether they are taken at their word.
    """

    types: Mapping[str, ColumnType]
    fits: Fits
    put_into: Callable[[sa.Table], Copied]
    counted: bool
    declared: bool = False


def of_declared_rows(
    connection: sa.Connection, first: DeclaredBatch, batches: Iterator[Batch | DeclaredBatch]
) -> Incoming:
    """Return rows of a declared table as what is to be written: taken at their word."""

    def rows(table: sa.Table) -> Iterator[Row]:
        for batch in chain([first], batches):
            if not isinstance(batch, DeclaredBatch) or batch.declared is not first.declared:
                difference = "a batch is not of the first one's declaration"
                raise SchemaDriftError(str(table), [difference], "Nothing was changed.")
            yield from batch.rows

    def put_into(table: sa.Table) -> Copied:
        return copy_rows(connection, table, list(first.types), rows(table))

    return Incoming(first.types, lambda _name, _real: True, put_into, counted=True, declared=True)
