"""What the suite needs to know of an IO manager."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import dagster as dg

Columns = Mapping[str, Sequence[object]]
Rows = Sequence[Mapping[str, object]]
PartitionExpr = str | Mapping[str, str] | None
"""Where a table has its partitions: a column or an expression, one for each dimension, or nowhere."""
Frame = Any
"""The subject's own type, of which the suite knows nothing."""


class Subject(Protocol):
    """An IO manager under test, with an empty database behind it, and one of the types that it stores."""

    @property
    def frame_type(self) -> type:
        """The type of the assets."""

    @property
    def instance(self) -> dg.DagsterInstance:
        """Where runs are recorded; one may serve many subjects."""

    @property
    def unwritable(self) -> Columns:
        """Columns of two rows: a table of the storage can take the first, and none the second."""

    def io_manager(self, schema: str | None = None, partition_expr: PartitionExpr = None) -> object:
        """Return the IO manager as Dagster takes it as a resource.

        Args:
            schema: the schema in its configuration.
            partition_expr: what is in the asset's metadata, for an IO manager that is configured with it instead.
        """

    def make_frame(self, columns: Columns) -> Frame:
        """Return the frame of these columns of plain Python values."""

    def emptied(self, frame: Frame) -> Frame:
        """Return the frame without its rows, with its columns and their types."""

    def columns_of(self, frame: Frame) -> Sequence[str]:
        """Return the names of the frame's columns, in order."""

    def rows_of(self, frame: Frame) -> Rows:
        """Return the frame's rows in plain Python values: None for whatever is missing."""

    def stored(self, table: str, schema: str = "public") -> Rows | None:
        """Read a table with plain SQL, without the IO manager; return None if there is no such table."""
