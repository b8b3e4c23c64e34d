"""Arrow tables, record batches and readers: columns by their Arrow types. Imported by those who use pyarrow."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.frames.arrow_results import from_rows, reader
from purchase_pipeline.postgres.frames.rows import Batch
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType, family

__all__ = ["FRAME_TYPES", "column", "from_rows", "reader", "to_batch"]

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
