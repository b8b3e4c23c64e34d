"""Arrow tables and readers, in Arrow's own types. Imported only if pyarrow is in use."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from purchase_pipeline.postgres.errors import UnreadableValueError
from purchase_pipeline.postgres.frames.arrow import FRAME_TYPES, to_batch
from purchase_pipeline.postgres.frames.exact import Array
from purchase_pipeline.postgres.frames.json_text import json_values
from purchase_pipeline.postgres.frames.nested import Shape, shape_of
from purchase_pipeline.postgres.frames.to_python import storage_of
from purchase_pipeline.postgres.schema.types import ColumnType, family

__all__ = ["FRAME_TYPES", "from_arrow", "reader", "to_batch", "typed_column"]

_ARROW: dict[str, Any] = {
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "bytes": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "interval": pa.duration("us"),
    "timestamp": pa.timestamp("us"),
    "zoned timestamp": pa.timestamp("us", "UTC"),
}
_WIDEST = 76  # digits of 256 bits
_WIDE = 38  # of 128


def from_arrow(columns: Mapping[str, ColumnType], frame: pa.Table, frame_type: type = pa.Table) -> Any:  # noqa: ANN401
    """Return a table or record batch. JSON becomes structs and lists if all values have one shape, else text."""
    table = pa.table({name: typed_column(kind, frame[name], _WIDEST) for name, kind in columns.items()})
    if not issubclass(frame_type, pa.RecordBatch):
        return table
    whole = table.combine_chunks()
    return pa.record_batch(
        [column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in whole.columns],
        names=whole.column_names,
    )


def reader(columns: Mapping[str, ColumnType], frames: Iterator[pa.Table]) -> pa.RecordBatchReader:
    """Return a reader. Its schema is fixed before the first row, so JSON and NUMERIC without a scale are text."""
    schema = pa.schema([(name, _fixed(column_type)) for name, column_type in columns.items()])

    def fixed(frame: pa.Table, name: str) -> Array:
        try:
            return _in_type(frame[name], schema.field(name).type)
        except pa.ArrowInvalid as error:
            hint = "Read it as pyarrow.Table, where such a column is text."
            raise UnreadableValueError(
                f"column {name!r} has a value that no decimal can represent: {error}. {hint}"
            ) from error

    def record_batches() -> Iterator[pa.RecordBatch]:
        for frame in frames:
            yield from pa.table([fixed(frame, name) for name in columns], schema=schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, record_batches())


def typed_column(column_type: Any, values: Array, most_digits: int) -> Array:  # noqa: ANN401
    """Return a column in Arrow's matching type; as text if there is none, or too many digits."""
    kind = family(column_type)
    if kind == "json":
        return _nested_column(_as_text(values))
    if kind == "numeric":
        return _decimals(column_type, _as_text(values), most_digits)
    if kind == "array":
        whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        return _with_elements(whole, typed_column(column_type.item_type, whole.flatten(), most_digits))
    return _in_type(values, _ARROW.get(kind, pa.string()))


def _fixed(column_type: Any) -> Any:  # noqa: ANN401
    kind = family(column_type)
    if kind == "array":
        return pa.list_(_fixed(column_type.item_type))
    if kind == "numeric" and column_type.scale is not None and column_type.precision <= _WIDEST:
        return _decimal_type(column_type.precision, column_type.scale)
    return _ARROW.get(kind, pa.string())


def _in_type(values: Array, kind: Any) -> Array:  # noqa: ANN401
    if pa.types.is_list(kind):
        whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        return _with_elements(whole, _in_type(whole.flatten(), kind.value_type))
    return _as_text(values).cast(kind) if pa.types.is_string(kind) else _cast(values, kind)


def _cast(values: Array, kind: Any) -> Array:  # noqa: ANN401
    return (storage_of(values) if isinstance(values.type, pa.BaseExtensionType) else values).cast(kind)


def _as_text(values: Array) -> Array:
    """Return strings unchanged, UUIDs and other extension types as strings."""
    if not isinstance(values.type, pa.BaseExtensionType):
        return values.cast(pa.string())
    if values.type.extension_name == "arrow.uuid":
        return pa.array([value and str(value) for value in values.to_pylist()], pa.string())
    return storage_of(values).cast(pa.string())


def _with_elements(lists: Array, elements: Array) -> Array:
    lengths = pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    flat = elements.combine_chunks() if isinstance(elements, pa.ChunkedArray) else elements
    return pa.ListArray.from_arrays(offsets, flat, mask=lists.is_null())


def _decimals(column_type: Any, texts: Array, most_digits: int) -> Array:  # noqa: ANN401
    scale = column_type.scale
    if scale is None:
        fraction = pc.if_else(
            pc.match_substring(texts, "."),
            pc.subtract(pc.subtract(pc.utf8_length(texts), pc.find_substring(texts, ".")), 1),
            0,
        )
        scale = pc.max(fraction).as_py() or 0
    # Arrow's cast silently overflows beyond the digits of its type.
    written = pc.max(pc.count_substring_regex(texts, r"\d")).as_py() or 0
    for digits in (_WIDE, _WIDEST):
        try:
            if max(scale, written) <= digits <= most_digits:
                return texts.cast(_decimal_type(digits, scale))
        except pa.ArrowInvalid:  # too many digits with that scale, or not finite
            continue
    return texts


def _decimal_type(digits: int, scale: int) -> Any:  # noqa: ANN401
    return pa.decimal128(_WIDE, scale) if digits <= _WIDE else pa.decimal256(_WIDEST, scale)


def _nested_column(texts: Array) -> Array:
    values = json_values(texts.to_pylist())
    shape = shape_of(values)
    return pa.array(values, _nested(shape)) if isinstance(shape, dict | list) else texts


def _nested(shape: Shape) -> Any:  # noqa: ANN401
    if isinstance(shape, dict):
        return pa.struct([(name, _nested(inner)) for name, inner in shape.items()])
    if isinstance(shape, list):
        return pa.list_(_nested(shape[0]))
    return {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), None: pa.null()}[shape]
