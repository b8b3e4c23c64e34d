"""What the conformance kit must be told of an IO manager.

The kit stands on Dagster and the standard library alone, so that any IO manager can be held against it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import dagster as dg

Columns = Mapping[str, Sequence[object]]
Rows = Sequence[Mapping[str, object]]
Frame = Any
"""The subject's own type, of which the kit knows nothing."""


class Subject(Protocol):
    """An IO manager under test, with an empty database behind it, and one of the types that it keeps."""

    @property
    def frame_type(self) -> type:
        """The type of the assets."""

    @property
    def instance(self) -> dg.DagsterInstance:
        """Where runs are noted; one may serve many subjects."""

    @property
    def unwritable(self) -> Columns:
        """Columns of two rows: a table of the storage can take the first, and none the second."""

    def io_manager(self, schema: str | None = None) -> object:
        """Return the IO manager as Dagster takes it for a resource, with this schema in its configuration."""

    def make_frame(self, columns: Columns) -> Frame:
        """Return the frame of these columns of plain Python values."""

    def emptied(self, frame: Frame) -> Frame:
        """Return the frame without its rows, with its columns and their types."""

    def columns_of(self, frame: Frame) -> Sequence[str]:
        """Return the names of the frame's columns, in order."""

    def rows_of(self, frame: Frame) -> Rows:
        """Return the frame's rows in plain Python values: None for whatever is missing."""

    def stored(self, table: str, schema: str = "public") -> Rows | None:
        """Read a table past the IO manager, or return None where there is no such table."""
