"""pandas frames: columns by dtype, missing values as NULL, the index left out. Imported by those who use pandas."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.frames.rows import Batch, Row, by_column
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.inference import type_of_column
from purchase_pipeline.postgres.schema.types import ColumnType, family

FRAME_TYPES = (pd.DataFrame,)

_BY_KIND: dict[str, ColumnType] = {"b": types.BOOLEAN, "i": types.BIGINT, "f": types.DOUBLE}
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_LONGEST = (2**63 - 1) // 10**6
_BOUNDS = {
    "M": (-62_135_596_800, 253_402_300_799, "is beyond the years 1 to 9999"),
    "m": (-_LONGEST, _LONGEST, "is beyond 64 bits of microseconds"),
}
"""Of datetimes and timedeltas, in seconds."""
_FINER = "is finer than microseconds, which is what is kept"
_KEPT = {str, bytes, bool, int}
_PLAIN = {*_KEPT, float, type(None)}
_DTYPES = {
    "integer": "int64",
    "boolean": "bool",
    "float": "float64",
    "text": "str",
    "timestamp": "datetime64[us]",
    "zoned timestamp": "datetime64[us, UTC]",
    "interval": "timedelta64[us]",
}
_WITH_MISSING = {"integer": "Int64", "boolean": "boolean"}

_Column = tuple[ColumnType, Sequence[Any]]


def to_batch(frame: pd.DataFrame) -> Batch:
    """Return the frame's rows. None, NaN, NaT and NA are missing values, and become NULL.

    Raises:
        RefusedValueError: a column, or a value, that PostgreSQL has no type for.
    """
    columns = [_column(str(name), frame.iloc[:, place]) for place, name in enumerate(frame.columns)]
    return Batch.of_columns(map(str, frame.columns), columns)


def from_rows(columns: Mapping[str, ColumnType], rows: Sequence[Row]) -> pd.DataFrame:
    """Return a frame whose dtypes depend on the columns, and for integers and booleans on whether one is missing."""
    series = [
        _series(list(values), column_type)
        for column_type, values in zip(columns.values(), by_column(rows, len(columns)), strict=True)
    ]
    return pd.DataFrame(dict(zip(columns, series, strict=True)), index=range(len(rows)))


def _series(values: list[Any], column_type: ColumnType) -> "pd.Series[Any]":
    kind = family(column_type)
    if kind == "zoned timestamp":
        values = [value and value.astimezone(UTC) for value in values]
    dtype = _DTYPES.get(kind, "object")
    if kind in _WITH_MISSING and None in values:
        dtype = _WITH_MISSING[kind]
    return pd.Series(values, dtype=dtype)


def _column(name: str, series: "pd.Series[Any]") -> _Column:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _column(name, series.astype(object if series.hasnans else dtype.categories.dtype))
    if isinstance(dtype, pd.ArrowDtype):
        arrow = import_module("purchase_pipeline.postgres.frames.arrow_tables")  # pyarrow is optional
        return arrow.column(name, series.array.__arrow_array__())  # type: ignore[no-any-return]
    if dtype.kind in "mM":
        return _times(name, series)
    if dtype == np.float64 and isinstance(dtype, np.dtype) and not series.count():
        return types.UNKNOWN_FLOAT, [None] * len(
            series
        )  # what pandas makes of nothing, and of what is missing
    column_type = _scalar_type(dtype)
    return _objects(name, series) if column_type is None else (column_type, _without_missing(series))


def _scalar_type(dtype: Any) -> ColumnType | None:  # noqa: ANN401
    """Return what a dtype says of its values; None for `object`, which says nothing."""
    if isinstance(dtype, pd.StringDtype):
        return types.TEXT
    if dtype.kind == "u":
        return types.BIGINT if dtype.itemsize < 8 else types.NUMERIC  # noqa: PLR2004  # bytes
    return _BY_KIND.get(dtype.kind)


def _without_missing(series: "pd.Series[Any]") -> list[Any]:
    values = series.tolist()
    if not series.hasnans:
        return values
    return [None if missing else value for value, missing in zip(values, series.isna(), strict=True)]


def _times(name: str, series: "pd.Series[Any]") -> _Column:
    zoned = isinstance(series.dtype, pd.DatetimeTZDtype)
    times = (series.dt.tz_convert(None) if zoned else series).to_numpy()
    kind = times.dtype.kind
    first, last, reason = _BOUNDS[kind]
    seconds = times.view("i8") // _PER_SECOND[np.datetime_data(times.dtype)[0]]
    _refuse_first(name, series, ((seconds < first) | (seconds > last)) & ~np.isnat(times), reason)
    exact = times.astype(f"{kind}8[us]")
    _refuse_first(name, series, (exact != times) & ~np.isnat(times), _FINER)
    values = exact.astype(object).tolist()
    if zoned:
        values = [value and value.replace(tzinfo=UTC) for value in values]
    if kind == "m":
        return types.DURATION, values
    return types.ZONED if zoned else types.NAIVE, values


def _refuse_first(name: str, series: "pd.Series[Any]", wrong: "npt.NDArray[np.bool_]", reason: str) -> None:
    if wrong.any():
        position = int(np.flatnonzero(wrong)[0])
        raise RefusedValueError(name, position, f"{series.iloc[position]} {reason}")


def _objects(name: str, series: "pd.Series[Any]") -> _Column:
    if series.dtype.kind != "O":
        raise RefusedValueError(name, None, f"PostgreSQL has no type for the dtype {series.dtype}")
    values = [
        value if value.__class__ in _KEPT else _plain_cell(name, position, value)
        for position, value in enumerate(series)
    ]
    return type_of_column(name, values), values


def _plain_cell(name: str, position: int, value: Any) -> Any:  # noqa: ANN401
    """Return a cell's value without pandas and NumPy: None for a missing one, Python's own class for any other."""
    try:
        plain = _plain(value)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise RefusedValueError(name, position, str(error)) from error
    return None if isinstance(plain, float) and math.isnan(plain) else plain


def _plain(value: Any) -> Any:  # noqa: ANN401
    if value.__class__ in _PLAIN:
        return value
    if isinstance(value, np.ndarray):
        return value.tolist() if value.dtype.kind in "biuf" else [_plain(one) for one in value]
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    elif isinstance(value, timedelta | np.timedelta64):
        value = pd.Timedelta(value)
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, memoryview):  # psycopg takes those alone that have no gaps
        return value.tobytes()
    if isinstance(value, pd.Timestamp | pd.Timedelta):
        return _to_the_microsecond(value)
    return value.item() if isinstance(value, np.generic) else value


def _to_the_microsecond(value: pd.Timestamp | pd.Timedelta) -> datetime | timedelta:
    exact = value.as_unit("us")
    if exact != value:
        raise ValueError(f"{value} {_FINER}")
    return exact.to_pydatetime() if isinstance(exact, pd.Timestamp) else exact.to_pytimedelta()
