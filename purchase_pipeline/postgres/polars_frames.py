"""polars frames: columns by dtype, null as NULL. Imported by those who use polars."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres import column_types as types
from purchase_pipeline.postgres.column_types import ColumnType, family
from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.nested import Shape, as_json, scale_of, shape_of
from purchase_pipeline.postgres.rows import Batch, Row

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
    by_column = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return pl.DataFrame(
        [
            _series(name, column_type, list(values))
            for (name, column_type), values in zip(columns.items(), by_column, strict=True)
        ]
    )


def _series(name: str, column_type: ColumnType, values: list[Any]) -> pl.Series:
    kind = family(column_type)
    if kind == "json":
        shape = shape_of(values)
        if isinstance(shape, dict | list):
            return pl.Series(name, values, dtype=_nested(shape))
        return pl.Series(name, as_json(values), dtype=pl.String)
    if kind in {"uuid", "other"}:
        values = [None if value is None else str(value) for value in values]
    return pl.Series(name, values, dtype=_dtype(column_type, values))


def _dtype(column_type: Any, values: Sequence[Any]) -> Any:  # noqa: ANN401
    kind = family(column_type)
    if kind == "array":
        return pl.List(
            _dtype(column_type.item_type, [one for value in values if value is not None for one in value])
        )
    if kind == "numeric":
        return pl.Decimal(38, scale_of(column_type, values))
    return _DTYPES.get(kind, pl.String)


def _nested(shape: Shape) -> Any:  # noqa: ANN401
    if isinstance(shape, dict):
        return pl.Struct({name: _nested(inner) for name, inner in shape.items()})
    if isinstance(shape, list):
        return pl.List(_nested(shape[0]))
    return {bool: pl.Boolean, int: pl.Int64, float: pl.Float64, str: pl.String, None: pl.Null}[shape]


def _column(series: pl.Series) -> tuple[ColumnType, Sequence[Any]]:
    _refuse_what_is_finer_than_microseconds(series)
    return _column_type(series, series.dtype), series.to_list()


def _column_type(series: pl.Series, dtype: Any) -> ColumnType:  # noqa: ANN401
    if isinstance(dtype, pl.Datetime):
        return types.NAIVE if dtype.time_zone is None else types.ZONED
    if isinstance(dtype, pl.List | pl.Array):
        element = _column_type(series, dtype.inner)
        return types.JSON if family(element) in {"json", "array"} else ARRAY(element)
    if dtype == pl.Object:
        try:
            return types.inferred(series.to_list())
        except types.NoColumnTypeError as error:
            raise RefusedValueError(series.name, error.position, str(error)) from error
    if dtype.base_type() not in _BY_DTYPE:
        raise RefusedValueError(series.name, None, f"PostgreSQL has no type for the dtype {dtype}")
    return _BY_DTYPE[dtype.base_type()]


def _refuse_what_is_finer_than_microseconds(series: pl.Series) -> None:
    dtype = series.dtype
    if dtype == pl.Time or (isinstance(dtype, pl.Datetime | pl.Duration) and dtype.time_unit == "ns"):
        finer = series.to_physical() % 1000 != 0
        if finer.any():
            position = int(finer.arg_true()[0])
            raise RefusedValueError(
                series.name, position, f"{series[position]} is finer than microseconds, which is what is kept"
            )
