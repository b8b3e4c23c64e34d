"""pandas frames for a subject."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from io_manager_conformance.subject import Columns, Rows

_NULLABLE = {int: "Int64", bool: "boolean"}
"""Types that keep integers and booleans next to a missing value; pandas itself would make floats and objects."""


class PandasFrames:
    """pandas, where None, NaN, NaT and NA are all missing values."""

    frame_type = pd.DataFrame

    def make_frame(self, columns: Columns) -> pd.DataFrame:
        """Return a frame of these columns."""
        return pd.DataFrame({name: _series(list(values)) for name, values in columns.items()})

    def emptied(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame without its rows."""
        return frame.head(0)

    def columns_of(self, frame: pd.DataFrame) -> Sequence[str]:
        """Return the columns' names."""
        return list(frame.columns)

    def rows_of(self, frame: pd.DataFrame) -> Rows:
        """Return plain Python rows."""
        return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _series(values: list[object]) -> pd.Series:
    kinds = {type(value) for value in values}
    kept = _NULLABLE.get((kinds - {type(None)}).pop()) if len(kinds) == 2 and None in values else None
    return pd.Series(values, dtype=kept)


def _plain(value: Any) -> object:  # noqa: ANN401  (whatever a frame holds)
    """Return a value as Python has it: no scalar, array or missing value of pandas or NumPy."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, bytearray):
        return bytes(value)
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
