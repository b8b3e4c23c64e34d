"""Arrow tables, record batches and readers: columns by their Arrow types. Imported by those who use pyarrow."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.columns import types
from purchase_pipeline.postgres.columns.types import ColumnType, family
from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.frames.nested import Shape, as_json, as_text, digits_of, scale_of, shape_of
from purchase_pipeline.postgres.rows import Batch, Row

FRAME_TYPES = (pa.Table, pa.RecordBatch)

_TESTS = (
    (pa.types.is_boolean, types.BOOLEAN),
    (pa.types.is_uint64, types.NUMERIC),
    (pa.types.is_integer, types.BIGINT),
    (pa.types.is_floating, types.DOUBLE),
    (pa.types.is_decimal, types.NUMERIC),
    (pa.types.is_string, types.TEXT),
    (pa.types.is_large_string, types.TEXT),
    (pa.types.is_string_view, types.TEXT),
    (pa.types.is_binary, types.BYTES),
    (pa.types.is_large_binary, types.BYTES),
    (pa.types.is_fixed_size_binary, types.BYTES),
    (pa.types.is_binary_view, types.BYTES),
    (pa.types.is_date, types.DATE),
    (pa.types.is_time, types.TIME),
    (pa.types.is_duration, types.DURATION),
    (pa.types.is_struct, types.JSON),
    (pa.types.is_null, types.UNKNOWN),
)
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
_NO_PYTHON_VALUE = (ValueError, OverflowError, KeyError)
"""What Arrow raises for a date beyond Python's years, a time finer than its microseconds, a map's key come twice."""


def to_batch(table: pa.Table | pa.RecordBatch) -> Batch:
    """Return the table's rows. NaN is a number, and stays one.

    Raises:
        RefusedValueError: a column, or a value, that PostgreSQL has no type for.
    """
    return Batch.of_columns(
        table.column_names,
        [column(name, values) for name, values in zip(table.column_names, table.columns, strict=True)],
    )


def from_rows(columns: Mapping[str, ColumnType], rows: Sequence[Row]) -> pa.Table:
    """Return a table. JSON becomes structs and lists where all values have one shape, else its text."""
    by_column = zip(*rows, strict=True) if rows else ((),) * len(columns)
    arrays = [
        _array(column_type, values) for column_type, values in zip(columns.values(), by_column, strict=True)
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


def column(name: str, values: Any) -> tuple[ColumnType, Sequence[Any]]:  # noqa: ANN401
    """Return an array's column type, with its values as Python's.

    Raises:
        RefusedValueError: a type that PostgreSQL has none for, or a value finer than microseconds.
    """
    kind = _plain(values.type)
    column_type = _column_type(name, kind)
    try:
        return column_type, _python_values(values, kind)
    except _NO_PYTHON_VALUE:
        return column_type, [_python_value(name, values, position, kind) for position in range(len(values))]


def _python_value(name: str, values: Any, position: int, kind: Any) -> Any:  # noqa: ANN401
    try:
        # A slice of lists would be cast with what lies beside it.
        return _python_values(values.take([position]), kind)[0]
    except _NO_PYTHON_VALUE as error:
        raise RefusedValueError(name, position, str(error)) from error


def _python_values(values: Any, kind: Any) -> list[Any]:  # noqa: ANN401
    plain = values if values.type == kind else values.cast(kind)
    return plain.to_pylist(maps_as_pydicts="strict")  # type: ignore[no-any-return]


def _plain(kind: Any) -> Any:  # noqa: ANN401
    """Return the type in Python's terms: no dictionaries, no extensions, no nanoseconds, no zone but UTC."""
    if isinstance(kind, pa.ExtensionType):
        return _plain(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    if pa.types.is_nested(kind):
        return _with_plain_fields(kind)
    return _plain_time(kind) if pa.types.is_temporal(kind) else kind


def _plain_time(kind: Any) -> Any:  # noqa: ANN401
    unit = "us" if getattr(kind, "unit", None) == "ns" else getattr(kind, "unit", None)
    if pa.types.is_timestamp(kind):
        return pa.timestamp(unit, kind.tz and "UTC")
    if pa.types.is_duration(kind):
        return pa.duration(unit)
    return pa.time64("us") if pa.types.is_time64(kind) else kind


def _with_plain_fields(kind: Any) -> Any:  # noqa: ANN401
    fields = [kind.field(place) for place in range(kind.num_fields)]
    fields = [field.with_type(_plain(field.type)) for field in fields]
    if pa.types.is_struct(kind):
        return pa.struct(fields)
    if pa.types.is_list(kind):
        return pa.list_(*fields)
    if pa.types.is_large_list(kind):
        return pa.large_list(*fields)
    return pa.list_(*fields, kind.list_size) if pa.types.is_fixed_size_list(kind) else kind


def _column_type(name: str, kind: Any) -> ColumnType:  # noqa: ANN401
    if pa.types.is_timestamp(kind):
        return types.NAIVE if kind.tz is None else types.ZONED
    if pa.types.is_map(kind):
        return types.JSON
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        element = _column_type(name, kind.value_type)
        return types.JSON if family(element) in {"json", "array"} else ARRAY(element)
    found = next((column_type for test, column_type in _TESTS if test(kind)), None)
    if found is None:
        raise RefusedValueError(name, None, f"PostgreSQL has no type for Arrow's {kind}")
    return found


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
