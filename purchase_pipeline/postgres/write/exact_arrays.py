"""Encoders of arrays for binary COPY. They keep values unchanged, or reject the first that would change."""

from collections.abc import Callable
from struct import pack
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.frames.exact import Array, reject_first
from purchase_pipeline.postgres.frames.json_text import json_text, require_distinct_keys
from purchase_pipeline.postgres.frames.to_python import python_values
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.native_types import NativeType
from purchase_pipeline.postgres.write.array_wire import ELEMENTS, array_wire
from purchase_pipeline.postgres.write.exact_numbers import (
    INTEGERS,
    Encode,
    convert_each,
    float_as_numeric,
    integer_in,
    number_as_float,
    numeric_in,
    single_in,
    whole_in,
)

_LONGEST_NAME = 63  # bytes
_DAY = 86_400_000_000  # microseconds
_IN_LISTS = {"bool", "int2", "int4", "int8", "float4", "float8", "text", "bytea", "date", "time", "timestamp"}
"""Element types for which pgpq writes the right OID; for text it always writes that of TEXT."""


def nulls(_: str, values: Array) -> Array:
    """Return a column of NULLs, which fits any type."""
    return pa.nulls(len(values), pa.large_binary())


def array_encoder(element: Encode, native: NativeType) -> Encode | None:
    """Return an encoder for lists of such elements; None if only PostgreSQL can build the array."""
    if native.kind != "b" or native.base not in ELEMENTS:
        return None

    def encode(name: str, lists: Array) -> Array:
        flat, rows = lists.flatten(), pc.list_parent_indices(lists)
        try:
            flat = nulls(name, flat) if pa.types.is_null(flat.type) else element(name, flat)
        except RefusedValueError as error:
            row = None if error.position is None else rows[error.position].as_py()
            raise RefusedValueError(name, row, str(error)) from error
        if flat.null_count == len(flat) or not (native.base in _IN_LISTS or pa.types.is_decimal(flat.type)):
            return array_wire(lists, flat, native.base)
        offsets = pc.cumulative_sum(pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int64()))
        offsets = pa.concat_arrays([pa.array([0], pa.int64()), offsets])
        return pa.LargeListArray.from_arrays(offsets, flat, mask=lists.is_null())

    return encode


def text_in(native: NativeType) -> Encode:
    """Return an encoder for strings: not longer than the column; for CHAR, which pads, exactly as long."""
    longest = native.modifier - 4 if native.modifier >= 0 else None  # the modifier includes a 4-byte header

    def encode(name: str, values: Array) -> Array:
        if longest is not None:
            length = pc.utf8_length(values)
            wrong = pc.not_equal(length, longest) if native.base == "bpchar" else pc.greater(length, longest)
            reason = (
                f"{{}} does not have {longest} characters" if native.base == "bpchar" else "{} is too long"
            )
            reject_first(name, values, wrong, f"{reason} for the column, which is {native.label}")
        return values

    return encode


def _unchanged(_: NativeType) -> Encode:
    return lambda _name, values: values


def _bytes_in(shortest: int, longest: int) -> Callable[[NativeType], Encode]:
    def of(native: NativeType) -> Encode:
        def encode(name: str, values: Array) -> Array:
            size = pc.binary_length(values)
            wrong = pc.or_(pc.less(size, shortest), pc.greater(size, longest))
            reject_first(name, values, wrong, f"{{}} does not fit the column, which is {native.label}")
            return values

        return encode

    return of


def _time_in(native: NativeType) -> Encode:
    step = 10 ** (6 - native.modifier) if native.modifier >= 0 else 1

    def encode(name: str, values: Array) -> Array:
        if step > 1:
            counts = values.cast(pa.int64())
            finer = pc.not_equal(pc.multiply(pc.divide(counts, step), step), counts)
            reject_first(name, values, finer, f"{{}} is finer than {native.label}")
        return values

    return encode


def _interval_in(native: NativeType) -> Encode | None:
    if native.modifier >= 0:  # it truncates fields: cast in the database, and compared
        return None

    def wire(microseconds: int) -> bytes:
        days, rest = divmod(microseconds, _DAY)
        if microseconds < 0 and rest:
            days, rest = days + 1, rest - _DAY
        return pack(">qii", rest, days, 0)

    return lambda name, values: convert_each(
        name, values.cast(pa.int64()).to_pylist(), wire, pa.large_binary()
    )


def _jsonb(values: Array) -> Array:
    version = pa.scalar(b"\x01", pa.large_binary())
    nothing = pa.scalar(b"", pa.large_binary())
    return pc.binary_join_element_wise(version, values.cast(pa.large_binary()), nothing)


def _text_as_json(native: NativeType) -> Encode:
    """Return an encoder for JSON text; JSONB would keep only the last of duplicate keys."""
    if native.base == "json":
        return _unchanged(native)

    def encode(name: str, values: Array) -> Array:
        convert_each(name, values.to_pylist(), require_distinct_keys, pa.null())
        return _jsonb(values)

    return encode


def _json_in(native: NativeType) -> Encode:
    return lambda _, values: values if native.base == "json" else _jsonb(values)


def _as_json(column_type: Any) -> Callable[[NativeType], Encode]:  # noqa: ANN401
    def of(native: NativeType) -> Encode:
        def encode(name: str, values: Array) -> Array:
            texts = convert_each(name, python_values(column_type, values), json_text, pa.large_string())
            return texts if native.base == "json" else _jsonb(texts)

        return encode

    return of


BY_KINDS: dict[tuple[str, str], Callable[[NativeType], Encode | None]] = {
    ("boolean", "bool"): _unchanged,
    **{("integer", base): integer_in for base in INTEGERS},
    **{("float", base): whole_in for base in INTEGERS},
    ("integer", "float4"): number_as_float,
    ("integer", "float8"): number_as_float,
    ("integer", "numeric"): numeric_in,
    ("float", "float4"): single_in,
    ("float", "float8"): _unchanged,
    ("float", "numeric"): float_as_numeric,
    ("numeric", "float4"): number_as_float,
    ("numeric", "float8"): number_as_float,
    ("numeric", "numeric"): numeric_in,
    **{("text", base): text_in for base in ("text", "varchar", "bpchar", "citext")},
    ("text", "name"): _bytes_in(0, _LONGEST_NAME),
    ("text", "char"): _bytes_in(1, 1),
    ("text", "json"): _text_as_json,
    ("text", "jsonb"): _text_as_json,
    ("bytes", "bytea"): _unchanged,
    ("date", "date"): _unchanged,
    ("date", "timestamp"): lambda _: lambda _, values: values.cast(pa.timestamp("us")),
    ("time", "time"): _time_in,
    ("timestamp", "timestamp"): _time_in,
    ("zoned timestamp", "timestamptz"): _time_in,
    ("interval", "interval"): _interval_in,
    ("uuid", "uuid"): _bytes_in(16, 16),
    ("json", "json"): _json_in,
    ("json", "jsonb"): _json_in,
    **{
        (kind, base): _as_json(column_type)
        for base in ("json", "jsonb")
        for kind, column_type in (
            ("boolean", types.BOOLEAN),
            ("integer", types.BIGINT),
            ("float", types.DOUBLE),
            ("array", ARRAY(types.UNKNOWN)),
        )
    },
}
"""Encoders by the family of the values and the base type of the column."""
