"""Arrow tables for a subject."""

from collections.abc import Sequence

import pyarrow as pa

from io_manager_conformance.subject import Columns, Rows


class ArrowFrames:
    """Arrow tables."""

    frame_type = pa.Table

    def make_frame(self, columns: Columns) -> pa.Table:
        """Return a table of these columns."""
        return pa.table({name: list(values) for name, values in columns.items()})

    def emptied(self, frame: pa.Table) -> pa.Table:
        """Return the table without its rows."""
        return frame.slice(0, 0)

    def columns_of(self, frame: pa.Table) -> Sequence[str]:
        """Return the columns' names."""
        return list(frame.column_names)

    def rows_of(self, frame: pa.Table) -> Rows:
        """Return plain Python rows."""
        return list(frame.to_pylist())
