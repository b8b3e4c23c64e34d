"""Rows on their way to a table: streamed in batches, with the table they are meant for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

Row = Sequence[Any]


@dataclass(frozen=True)
class RowStream:
    """A slice of a table as batches of rows.

    Attributes:
        table: the table's declaration. Its columns, keys and comments count; its name and schema are the asset's.
        columns: names of the columns that the rows fill, in the rows' order.
        batches: the rows, a batch at a time; read once.
    """

    table: Table
    columns: Sequence[str]
    batches: Iterable[Sequence[Row]]
