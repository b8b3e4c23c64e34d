"""Rows as Arrow tables and readers. Imported by those who use pyarrow."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from purchase_pipeline.postgres.frames.nested import Shape, as_json, as_text, digits_of, scale_of, shape_of
from purchase_pipeline.postgres.frames.rows import Row, by_column
from purchase_pipeline.postgres.schema.types import ColumnType, family

_ARROW: dict[str, Any] = {
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "bytes": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "interval": pa.duration("us"),
    "timestamp": pa.timestamp("us"),
    "zoned timestamp": pa.timestamp("us", "UTC"),
}


def from_rows(columns: Mapping[str, ColumnType], rows: Sequence[Row]) -> pa.Table:
    """Return a table. JSON becomes structs and lists where all values have one shape, else its text."""
    arrays = [
        _array(column_type, values)
        for column_type, values in zip(columns.values(), by_column(rows, len(columns)), strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=list(columns))


def reader(columns: Mapping[str, ColumnType], batches: Iterator[Sequence[Row]]) -> pa.RecordBatchReader:
    """Return a reader. Its schema must be known before the rows: JSON, and NUMERIC without a scale, become text."""
    schema = pa.schema([(name, _fixed(column_type)) for name, column_type in columns.items()])

    def record_batches() -> Iterator[pa.RecordBatch]:
        for rows in batches:
            values = [
                as_json(column) if family(column_type) == "json" else _values(column_type, field.type, column)
                for column_type, field, column in zip(
                    columns.values(), schema, zip(*rows, strict=True), strict=True
                )
            ]
            yield pa.record_batch(values, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, record_batches())


def _array(column_type: ColumnType, values: Sequence[Any]) -> Any:  # noqa: ANN401
    kind = family(column_type)
    if kind == "json":
        shape = shape_of(values)
        nested = isinstance(shape, dict | list)
        return pa.array(values, _nested(shape)) if nested else pa.array(as_json(values), pa.string())
    arrow_type = _arrow_type(column_type, values)
    return pa.array(_values(column_type, arrow_type, values), arrow_type)


def _values(column_type: ColumnType, arrow_type: Any, values: Sequence[Any]) -> Sequence[Any]:  # noqa: ANN401
    """Return the values, as texts where Arrow has no type for them."""
    is_text = pa.types.is_string(getattr(arrow_type, "value_type", arrow_type))
    return as_text(values) if is_text and family(column_type) != "text" else values


def _arrow_type(column_type: Any, values: Sequence[Any]) -> Any:  # noqa: ANN401
    kind = family(column_type)
    if kind == "array":
        inner = [one for value in values if value is not None for one in value]
        return pa.list_(_arrow_type(column_type.item_type, inner))
    if kind == "numeric":
        scale = scale_of(column_type, values)
        return _decimal(digits_of(values, scale), scale)
    return _ARROW.get(kind, pa.string())


def _decimal(digits: float, scale: int) -> Any:  # noqa: ANN401
    if digits <= 38:  # noqa: PLR2004  # of 128 bits
        return pa.decimal128(38, scale)
    return pa.decimal256(76, scale) if digits <= 76 else pa.string()  # noqa: PLR2004  # of 256 bits


def _fixed(column_type: Any) -> Any:  # noqa: ANN401
    kind = family(column_type)
    if kind == "array":
        return pa.list_(_fixed(column_type.item_type))
    if kind == "numeric" and column_type.scale is not None:
        return _decimal(column_type.precision, column_type.scale)
    return _ARROW.get(kind, pa.string())


def _nested(shape: Shape) -> Any:  # noqa: ANN401
    if isinstance(shape, dict):
        return pa.struct([(name, _nested(inner)) for name, inner in shape.items()])
    if isinstance(shape, list):
        return pa.list_(_nested(shape[0]))
    return {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), None: pa.null()}[shape]
