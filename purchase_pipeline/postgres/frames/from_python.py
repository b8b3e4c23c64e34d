"""Conversion of Python values, in rows and in pandas' object columns, to Arrow."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from typing import Any

import pyarrow as pa

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.frames.arrow import batch_of, plain_column
from purchase_pipeline.postgres.frames.exact import Array
from purchase_pipeline.postgres.frames.json_text import json_text
from purchase_pipeline.postgres.frames.rows import Batch, Row, by_column
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.inference import inferred_column_type
from purchase_pipeline.postgres.schema.types import ColumnType, family

_ARROW: dict[str, Any] = {
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "text": pa.large_string(),
    "bytes": pa.large_binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "zoned timestamp": pa.timestamp("us", "UTC"),
    "interval": pa.duration("us"),
    "numeric": pa.large_string(),
    "json": pa.large_string(),
    "uuid": pa.large_binary(),
    "unknown": pa.null(),
}
_IN_ARROW: dict[str, Callable[[Any], Any]] = {
    "bytes": lambda value: value.tobytes() if isinstance(value, memoryview) else bytes(value),
    "float": float,
    "json": json_text,
    "numeric": lambda value: str(Decimal(value)),
    "uuid": lambda value: value.bytes,
    "zoned timestamp": lambda value: value.astimezone(UTC),
}
_REFUSALS = (ValueError, TypeError, OverflowError, pa.ArrowException)


def batch_of_rows(names: Sequence[str], rows: Sequence[Row]) -> Batch:
    """Return rows as one batch, with inferred column types.

    Raises:
        RefusedValueError: no column type stores a value, alone or with those before it in its column.
    """
    if rows and not names:
        raise RefusedValueError(None, 0, "the row has no columns")
    return batch_of(
        (name, *column_of_values(name, values))
        for name, values in zip(names, by_column(rows, len(names)), strict=True)
    )


def batch_of_dicts(rows: Sequence[Mapping[str, Any]]) -> Batch:
    """Return dicts as one batch; a missing key is NULL.

    Raises:
        RefusedValueError: as for `batch_of_rows`, or a key is not a string.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    return batch_of_rows(names, [tuple(row.get(name) for name in names) for row in rows])


def column_of_values(name: str, values: Sequence[Any]) -> tuple[ColumnType, Array]:
    """Return the inferred type of Python values, and the values in Arrow; None is NULL.

    Raises:
        RefusedValueError: no column type stores a value, alone or with those before it.
    """
    column_type = inferred_column_type(name, values)
    if family(column_type) == "numeric" and (decimals := _decimals(name, values)) is not None:
        return column_type, decimals
    arrow_type, convert = _arrow_type(column_type), _conversion(column_type)
    try:
        return column_type, pa.array(map(convert, values) if convert else values, arrow_type)
    except _REFUSALS:
        for position, value in enumerate(values):
            try:
                pa.array([convert(value) if convert else value], arrow_type)
            except _REFUSALS as error:
                raise RefusedValueError(name, position, f"{types.short_repr(value)}: {error}") from error
        raise


def _decimals(name: str, values: Sequence[Any]) -> Array | None:
    """Return decimals of 128 bits; None if one needs more, is not finite, or has a different scale."""
    found = [None if value is None else Decimal(value) for value in values]
    exponents = {value.as_tuple().exponent for value in found if value is not None}
    if len({exponent if isinstance(exponent, str) else min(exponent, 0) for exponent in exponents}) > 1:
        return None
    try:
        exact = pa.array(found)
    except pa.ArrowException:
        return None
    return plain_column(name, exact)[1] if pa.types.is_decimal(exact.type) else None


def _arrow_type(column_type: Any) -> Any:  # noqa: ANN401
    if family(column_type) == "array":
        return pa.large_list(_arrow_type(column_type.item_type))
    return _ARROW[family(column_type)]


def _conversion(column_type: Any) -> Callable[[Any], Any] | None:  # noqa: ANN401
    """Return the conversion of a value, or None, for Arrow; None if there is nothing to convert."""
    if family(column_type) == "array":
        inner = _conversion(column_type.item_type)
        return inner and (lambda values: None if values is None else [inner(value) for value in values])
    convert = _IN_ARROW.get(family(column_type))
    return convert and (lambda value: None if value is None else convert(value))
