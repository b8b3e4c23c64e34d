"""pandas frames: columns by dtype, missing values as NULL, the index left out. Imported by those who use pandas."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from purchase_pipeline.postgres import column_types as types
from purchase_pipeline.postgres.column_types import ColumnType, family
from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.rows import Batch, Row

FRAME_TYPES = (pd.DataFrame,)

_BY_KIND: dict[str, ColumnType] = {"b": types.BOOLEAN, "i": types.BIGINT, "f": types.DOUBLE}
_FIRST, _LAST = np.datetime64("0001-01-01", "s"), np.datetime64("9999-12-31T23:59:59", "s")
_PLAIN = {str, bytes, bool, int}
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
    by_column = zip(*rows, strict=True) if rows else ((),) * len(columns)
    series = [
        _series(list(values), column_type)
        for column_type, values in zip(columns.values(), by_column, strict=True)
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
        arrow = import_module("purchase_pipeline.postgres.arrow_tables")  # pyarrow is optional
        return arrow.column(name, series.array.__arrow_array__())  # type: ignore[no-any-return]
    if dtype.kind in "mM":
        return _times(name, series)
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
    if kind == "M":
        seconds = times.astype("M8[s]")
        _refuse_first(name, series, (seconds < _FIRST) | (seconds > _LAST), "is beyond the years 1 to 9999")
    exact = times.astype(f"{kind}8[us]")
    _refuse_first(
        name, series, (exact != times) & ~np.isnat(times), "is finer than microseconds, which is what is kept"
    )
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
        value if value.__class__ in _PLAIN else _plain(name, position, value)
        for position, value in enumerate(series)
    ]
    try:
        return types.inferred(values), values
    except types.NoColumnTypeError as error:
        raise RefusedValueError(name, error.position, str(error)) from error


def _plain(name: str, position: int, value: Any) -> Any:  # noqa: ANN401
    """Return a value without pandas and NumPy: None for a missing one, Python's own class for any other."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):  # noqa: PLR0124
        return None
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.datetime64 | np.timedelta64):
        value = pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value)
    if isinstance(value, pd.Timestamp | pd.Timedelta):
        if value.nanoseconds if isinstance(value, pd.Timedelta) else value.nanosecond:
            raise RefusedValueError(
                name, position, f"{value} is finer than microseconds, which is what is kept"
            )
        return value.to_pydatetime() if isinstance(value, datetime) else value.to_pytimedelta()
    return value.item() if isinstance(value, np.generic) else value
