"""pandas frames: columns by dtype, missing values as NULL. Imported only if pandas is in use."""

import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.frames.arrow import batch_of, plain_column
from purchase_pipeline.postgres.frames.arrow_frames import typed_column
from purchase_pipeline.postgres.frames.exact import Array
from purchase_pipeline.postgres.frames.from_python import column_of_values
from purchase_pipeline.postgres.frames.rows import Batch
from purchase_pipeline.postgres.frames.to_python import python_values
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType, family, short_repr

FRAME_TYPES = (pd.DataFrame,)

_FINER = "has a fraction of a microsecond, which cannot be stored"
_KEPT = {str, bytes, bool, int, Decimal}
_PLAIN = {*_KEPT, float, type(None)}
_ARROW_CLASSES = {str, bytes, bool, int, date, UUID}
"""Classes that Arrow converts as we do, if a column has only one of them."""
_MISSING = {type(None), type(pd.NA), type(pd.NaT)}
_TEXT = pd.Series(dtype="str").dtype
"""pandas' own dtype of text: `str` in pandas 3, `object` in pandas 2."""
_WITH_MISSING = {
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    # It cannot infer this one if all are missing.
    **({pa.string(): _TEXT} if isinstance(_TEXT, pd.StringDtype) else {}),
}
_WITH_DTYPE = {"boolean", "integer", "float", "text", "timestamp", "zoned timestamp", "interval"}


def to_batch(frame: pd.DataFrame) -> Batch:
    """Return the frame's columns, after those of a named index. None, NaN, NaT and NA are NULL.

    Raises:
        RefusedValueError: PostgreSQL has no type for a column or value, or a name is not a string.
    """
    if any(name is not None for name in frame.index.names):
        frame = _with_index(frame)
    for name in frame.columns:
        if not isinstance(name, str):
            reason = f"column names must be strings, but {short_repr(name)} is {type(name).__name__}: rename the column"
            raise RefusedValueError(str(name), None, reason)
    return batch_of((name, *_column(name, frame.iloc[:, place])) for place, name in enumerate(frame.columns))


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with the named levels of its index as first columns."""
    levels = [
        (name, frame.index.get_level_values(place))
        for place, name in enumerate(frame.index.names)
        if name is not None
    ]
    columns = pd.Index([*(name for name, _ in levels), *frame.columns], tupleize_cols=False, dtype="object")
    plain = frame.reset_index(drop=True)
    joined = pd.concat([*(level.to_series(index=plain.index) for _, level in levels), plain], axis="columns")
    return joined.set_axis(columns, axis="columns")


def from_arrow(
    columns: Mapping[str, ColumnType],
    frame: pa.Table,
    frame_type: type = pd.DataFrame,  # noqa: ARG001  # part of the interface
) -> pd.DataFrame:
    """Return a frame. Dtypes depend on the columns, and for integers and booleans on whether values are missing."""
    series = {place: _series(kind, frame[name]) for place, (name, kind) in enumerate(columns.items())}
    found = pd.DataFrame(series, index=range(frame.num_rows))
    return found.set_axis(pd.Index(list(columns), dtype="str") if columns else found.columns, axis="columns")


def _series(column_type: ColumnType, values: Array) -> "pd.Series[Any]":
    if family(column_type) not in _WITH_DTYPE:
        return pd.Series(list(python_values(column_type, values)), dtype="object")
    typed = typed_column(column_type, values, 0)
    mapper = _WITH_MISSING.get if typed.null_count else None
    found: pd.Series[Any] = typed.to_pandas(types_mapper=mapper)
    return found


def _column(name: str, series: "pd.Series[Any]") -> tuple[ColumnType, Array]:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _column(name, series.astype(object if series.hasnans else dtype.categories.dtype))
    if dtype.kind == "O" and not isinstance(dtype, pd.StringDtype | pd.ArrowDtype):
        return _objects(name, series)
    if isinstance(dtype, pd.PeriodDtype | pd.IntervalDtype):
        return _objects(name, series.astype(object))
    if dtype == np.float64 and isinstance(dtype, np.dtype) and not series.count():
        return types.UNKNOWN_FLOAT, pa.nulls(len(series))  # pandas' dtype for missing data
    try:
        values = pa.array(series, from_pandas=True)
    except (pa.ArrowException, UnicodeError):
        return _objects(name, series.astype(object))
    return plain_column(name, values)


def _objects(name: str, series: "pd.Series[Any]") -> tuple[ColumnType, Array]:
    if series.dtype.kind != "O":
        raise RefusedValueError(name, None, f"PostgreSQL has no type for the dtype {series.dtype}")
    values = series.tolist()
    classes = {value.__class__ for value in values} - _MISSING
    if len(classes) == 1 and classes <= _ARROW_CLASSES:
        try:
            return plain_column(name, pa.array(values, from_pandas=True))
        except (pa.ArrowException, UnicodeError, OverflowError):
            pass  # one by one, to find the value
    plain = [
        value if value.__class__ in _KEPT else _plain_cell(name, position, value)
        for position, value in enumerate(values)
    ]
    return column_of_values(name, plain)


def _plain_cell(name: str, position: int, value: Any) -> Any:  # noqa: ANN401
    """Return a cell without pandas and NumPy types; None if missing."""
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
    if isinstance(value, memoryview):  # psycopg accepts only contiguous ones
        return value.tobytes()
    if isinstance(value, pd.Timestamp | pd.Timedelta):
        return _to_the_microsecond(value)
    return value.item() if isinstance(value, np.generic) else value


def _to_the_microsecond(value: pd.Timestamp | pd.Timedelta) -> datetime | timedelta:
    exact = value.as_unit("us")
    if exact != value:
        raise ValueError(f"{value} {_FINER}")
    return exact.to_pydatetime() if isinstance(exact, pd.Timestamp) else exact.to_pytimedelta()
