"""polars frames for a subject."""

from collections.abc import Sequence

import polars as pl

from io_manager_conformance.subject import Columns, Rows


class PolarsFrames:
    """polars."""

    frame_type = pl.DataFrame

    def make_frame(self, columns: Columns) -> pl.DataFrame:
        """Return a frame of these columns."""
        return pl.DataFrame({name: list(values) for name, values in columns.items()})

    def emptied(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the frame without its rows."""
        return frame.clear()

    def columns_of(self, frame: pl.DataFrame) -> Sequence[str]:
        """Return the columns' names."""
        return frame.columns

    def rows_of(self, frame: pl.DataFrame) -> Rows:
        """Return plain Python rows."""
        return frame.to_dicts()
