"""Arrow as the common representation of all frames: plain types, each with its column type."""

from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.frames.exact import Array, cast_exactly, reject_times
from purchase_pipeline.postgres.frames.json_text import json_text
from purchase_pipeline.postgres.frames.rows import Batch
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType

FRAME_TYPES = (pa.Table, pa.RecordBatch)

_MOST_DIGITS = 38  # in 128 bits
_EXTENSIONS = {"arrow.uuid": types.IDENTIFIER, "arrow.json": types.JSON}
_PLAIN: tuple[tuple[Callable[[Any], bool], ColumnType, Any], ...] = (
    (pa.types.is_boolean, types.BOOLEAN, pa.bool_()),
    (pa.types.is_uint64, types.NUMERIC, pa.decimal128(20, 0)),
    (pa.types.is_integer, types.BIGINT, pa.int64()),
    (pa.types.is_floating, types.DOUBLE, pa.float64()),
    (pa.types.is_string, types.TEXT, pa.large_string()),
    (pa.types.is_large_string, types.TEXT, pa.large_string()),
    (pa.types.is_string_view, types.TEXT, pa.large_string()),
    (pa.types.is_binary, types.BYTES, pa.large_binary()),
    (pa.types.is_large_binary, types.BYTES, pa.large_binary()),
    (pa.types.is_fixed_size_binary, types.BYTES, pa.large_binary()),
    (pa.types.is_binary_view, types.BYTES, pa.large_binary()),
    (pa.types.is_date, types.DATE, pa.date32()),
    (pa.types.is_time, types.TIME, pa.time64("us")),
    (pa.types.is_duration, types.DURATION, pa.duration("us")),
    (pa.types.is_null, types.UNKNOWN, pa.null()),
)


def to_batch(frame: pa.Table | pa.RecordBatch) -> Batch:
    """Return the frame with plain types. NaN stays NaN.

    Raises:
        RefusedValueError: PostgreSQL has no type for a column or value.
    """
    return batch_of(
        (name, *plain_column(name, values))
        for name, values in zip(frame.column_names, frame.columns, strict=True)
    )


def batch_of(columns: Iterable[tuple[str, ColumnType, Array]]) -> Batch:
    """Return a batch of columns, given by name, type and values.

    Raises:
        RefusedValueError: two columns have the same name.
    """
    found: dict[str, tuple[ColumnType, Array]] = {}
    for name, column_type, values in columns:
        if name in found:
            raise RefusedValueError(name, None, "two columns have this name")
        found[name] = column_type, values
    return Batch(
        {name: column_type for name, (column_type, _) in found.items()},
        pa.table({name: values for name, (_, values) in found.items()}),
    )


def plain_column(name: str, values: Array) -> tuple[ColumnType, Array]:
    """Return an array's column type, and its values in the plain Arrow type of that.

    Times are in microseconds, instants in UTC; nested values become JSON text.

    Raises:
        RefusedValueError: PostgreSQL has no such type, or a value would change.
    """
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return _of_extension(name, values)
    if pa.types.is_dictionary(kind):
        return plain_column(name, cast_exactly(name, values, kind.value_type))
    if _is_list(kind):
        return _of_lists(name, values)
    if pa.types.is_struct(kind) or pa.types.is_map(kind):
        return types.JSON, _as_json(name, values)
    if pa.types.is_decimal(kind):
        return types.NUMERIC, _decimals(values)
    column_type, plain = _plain_type(name, kind)
    if pa.types.is_temporal(kind):
        reject_times(name, values)
    return column_type, cast_exactly(name, values, plain)


def _plain_type(name: str, kind: Any) -> tuple[ColumnType, Any]:  # noqa: ANN401
    if pa.types.is_timestamp(kind):
        return types.NAIVE if kind.tz is None else types.ZONED, pa.timestamp("us", kind.tz and "UTC")
    for test, column_type, plain in _PLAIN:
        if test(kind):
            return column_type, plain
    raise RefusedValueError(name, None, f"PostgreSQL has no type for Arrow's {kind}")


def _is_list(kind: Any) -> bool:  # noqa: ANN401
    tests = (
        pa.types.is_list,
        pa.types.is_large_list,
        pa.types.is_fixed_size_list,
        pa.types.is_list_view,
        pa.types.is_large_list_view,
    )
    return any(test(kind) for test in tests)


def _of_extension(name: str, values: Array) -> tuple[ColumnType, Array]:
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    storage = pa.chunked_array([chunk.storage for chunk in chunks], values.type.storage_type)
    column_type, plain = plain_column(name, storage)
    return _EXTENSIONS.get(values.type.extension_name, column_type), plain


def _decimals(values: Array) -> Array:
    """Return decimals of 128 bits, or their text if they do not fit."""
    for scale in (values.type.scale, 0):
        try:
            return values.cast(pa.decimal128(_MOST_DIGITS, scale))
        except pa.ArrowInvalid:
            continue
    return values.cast(pa.large_string())


def _of_lists(name: str, values: Array) -> tuple[ColumnType, Array]:
    element = values.type.value_type
    if isinstance(element, pa.BaseExtensionType):  # Arrow cannot concatenate lists of them
        column_type, elements = _of_lists(name, values.cast(pa.large_list(element.storage_type)))
        named = _EXTENSIONS.get(element.extension_name)
        return ARRAY(named) if named else column_type, elements
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if _is_list(element) or pa.types.is_struct(element) or pa.types.is_map(element):
        return types.JSON, _as_json(name, values)
    lengths = pc.fill_null(pc.list_value_length(values), 0).cast(pa.int64())
    rows = pc.list_parent_indices(values)
    try:
        element_type, flat = plain_column(name, values.flatten())
    except RefusedValueError as error:
        row = None if error.position is None else rows[error.position].as_py()
        raise RefusedValueError(name, row, str(error)) from error
    if isinstance(flat, pa.ChunkedArray):
        flat = flat.combine_chunks()
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths)])
    lists = pa.LargeListArray.from_arrays(offsets, flat, mask=values.is_null())
    return ARRAY(element_type), lists


def _as_json(name: str, values: Array) -> Array:
    texts = []
    for position, value in enumerate(values):
        try:
            plain = value.as_py(maps_as_pydicts="strict")
            texts.append(None if plain is None else json_text(plain))
        except (ValueError, TypeError, OverflowError, KeyError) as error:
            raise RefusedValueError(name, position, str(error)) from error
    return pa.array(texts, pa.large_string())
