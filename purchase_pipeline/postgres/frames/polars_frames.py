"""polars frames: columns by dtype, null as NULL. Imported by those who use polars."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.frames.nested import Shape, as_json, as_text, digits_of, scale_of, shape_of
from purchase_pipeline.postgres.frames.rows import Batch, Row, by_column
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.inference import type_of_column
from purchase_pipeline.postgres.schema.types import ColumnType, family

FRAME_TYPES = (pl.DataFrame,)

_BY_DTYPE: dict[Any, ColumnType] = {
    pl.Boolean: types.BOOLEAN,
    **dict.fromkeys((pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32), types.BIGINT),
    **dict.fromkeys((pl.UInt64, pl.Int128, pl.Decimal), types.NUMERIC),
    **dict.fromkeys((pl.Float32, pl.Float64), types.DOUBLE),
    **dict.fromkeys((pl.String, pl.Categorical, pl.Enum), types.TEXT),
    pl.Binary: types.BYTES,
    pl.Date: types.DATE,
    pl.Time: types.TIME,
    pl.Duration: types.DURATION,
    pl.Struct: types.JSON,
    pl.Null: types.UNKNOWN,
}
_MOST_DIGITS = 38  # of a Decimal
_EPOCH = date(1970, 1, 1)
_FIRST_DAY, _LAST_DAY = (date.min - _EPOCH).days, (date.max - _EPOCH).days
_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000, None: 1}
_LONGEST = (2**63 - 1) // 1000  # milliseconds, as microseconds in 64 bits
_DTYPES: dict[str, Any] = {
    "boolean": pl.Boolean,
    "integer": pl.Int64,
    "float": pl.Float64,
    "text": pl.String,
    "bytes": pl.Binary,
    "date": pl.Date,
    "time": pl.Time,
    "interval": pl.Duration("us"),
    "timestamp": pl.Datetime("us"),
    "zoned timestamp": pl.Datetime("us", "UTC"),
}


def to_batch(frame: pl.DataFrame) -> Batch:
    """Return the frame's rows. NaN is a number, and stays one.

    Raises:
        RefusedValueError: a column, or a value, that PostgreSQL has no type for.
    """
    return Batch.of_columns(frame.columns, [_column(series) for series in frame.iter_columns()])


def from_rows(columns: Mapping[str, ColumnType], rows: Sequence[Row]) -> pl.DataFrame:
    """Return a frame. JSON becomes structs and lists where all values have one shape, else its text."""
    return pl.DataFrame(
        [
            _series(name, column_type, list(values))
            for (name, column_type), values in zip(
                columns.items(), by_column(rows, len(columns)), strict=True
            )
        ]
    )


def _series(name: str, column_type: ColumnType, values: list[Any]) -> pl.Series:
    kind = family(column_type)
    if kind == "json":
        shape = shape_of(values)
        if isinstance(shape, dict | list):
            return pl.Series(name, values, dtype=_nested(shape))
        return pl.Series(name, as_json(values), dtype=pl.String)
    dtype = _dtype(column_type, values)
    if kind != "text" and pl.String in {dtype, getattr(dtype, "inner", None)}:
        values = as_text(values)
    return pl.Series(name, values, dtype=dtype)


def _dtype(column_type: Any, values: Sequence[Any]) -> Any:  # noqa: ANN401
    kind = family(column_type)
    if kind == "array":
        return pl.List(
            _dtype(column_type.item_type, [one for value in values if value is not None for one in value])
        )
    if kind == "numeric":
        scale = scale_of(column_type, values)
        return pl.Decimal(_MOST_DIGITS, scale) if digits_of(values, scale) <= _MOST_DIGITS else pl.String
    return _DTYPES.get(kind, pl.String)


def _nested(shape: Shape) -> Any:  # noqa: ANN401
    if isinstance(shape, dict):
        return pl.Struct({name: _nested(inner) for name, inner in shape.items()})
    if isinstance(shape, list):
        return pl.List(_nested(shape[0]))
    return {bool: pl.Boolean, int: pl.Int64, float: pl.Float64, str: pl.String, None: pl.Null}[shape]


def _column(series: pl.Series) -> tuple[ColumnType, Sequence[Any]]:
    column_type = _column_type(series, series.dtype)
    _refuse_times(series, pl.int_range(len(series), eager=True))
    return column_type, series.cast(_in_utc(series.dtype)).to_list()


def _column_type(series: pl.Series, dtype: Any) -> ColumnType:  # noqa: ANN401
    if isinstance(dtype, pl.Datetime):
        return types.NAIVE if dtype.time_zone is None else types.ZONED
    if isinstance(dtype, pl.List | pl.Array):
        element = _column_type(series, dtype.inner)
        return types.JSON if family(element) in {"json", "array"} else ARRAY(element)
    if dtype == pl.Object:
        return type_of_column(series.name, series.to_list())
    if dtype.base_type() not in _BY_DTYPE:
        raise RefusedValueError(series.name, None, f"PostgreSQL has no type for the dtype {dtype}")
    return _BY_DTYPE[dtype.base_type()]


def _in_utc(dtype: Any) -> Any:  # noqa: ANN401
    """Return the dtype in UTC: Python has all its instants there, and in other zones not the first and last of them."""
    if isinstance(dtype, pl.Datetime):
        return pl.Datetime(dtype.time_unit, dtype.time_zone and "UTC")
    return pl.List(_in_utc(dtype.inner)) if isinstance(dtype, pl.List | pl.Array) else dtype


def _refuse_times(series: pl.Series, rows: pl.Series) -> None:
    """Refuse dates, times and durations that Python, or a microsecond, cannot hold, in lists and structs too."""
    dtype = series.dtype
    if isinstance(dtype, pl.List | pl.Array):
        flat = pl.DataFrame({"row": rows, "one": series}).explode("one")
        _refuse_times(flat["one"].alias(series.name), flat["row"])
    elif isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            _refuse_times(series.struct.field(field.name).alias(series.name), rows)
    elif dtype.is_temporal():
        unit = getattr(dtype, "time_unit", None)
        physical = series.to_physical()
        if dtype == pl.Time or unit == "ns":
            _refuse_first(
                series, rows, physical % 1000 != 0, "finer than microseconds, which is what is kept"
            )
        if dtype == pl.Duration and unit == "ms":
            _refuse_first(
                series, rows, ~physical.is_between(-_LONGEST, _LONGEST), "longer than 64 bits of microseconds"
            )
        if dtype.base_type() in (pl.Date, pl.Datetime):
            days = physical // _DAY[unit]
            _refuse_first(series, rows, ~days.is_between(_FIRST_DAY, _LAST_DAY), "beyond the years 1 to 9999")


def _refuse_first(series: pl.Series, rows: pl.Series, wrong: pl.Series, reason: str) -> None:
    if wrong.any():
        position = int(wrong.arg_true()[0])
        shown = f"{series.to_physical()[position]} as {series.dtype}"
        raise RefusedValueError(series.name, int(rows[position]), f"{shown} is {reason}")
