"""Encoders of numbers. They keep values unchanged, or reject the first that would change."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.frames.exact import Array, cast_exactly, reject_first
from purchase_pipeline.postgres.schema.native_types import NativeType
from purchase_pipeline.postgres.schema.types import short_repr
from purchase_pipeline.postgres.write.numeric_wire import numeric_wire

Encode = Callable[[str, Array], Array]
"""Takes a column's name and values; raises RefusedValueError for the first value that would change."""

INTEGERS = {"int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64()}
_WIDE = 38  # digits of 128 bits
_MOST_DECIMALS = 16_383  # PostgreSQL's documentation, table 8.2


def integer_in(native: NativeType) -> Encode:
    """Return an encoder for integers in a narrower integer column."""
    return lambda name, values: cast_exactly(
        name, values, INTEGERS[native.base], f"{{}} is out of range for {native.label}"
    )


def whole_in(native: NativeType) -> Encode:
    """Return an encoder for whole floats in an integer column."""
    reason = f"{{}} is not a whole number in the range of {native.label}"
    return lambda name, values: cast_exactly(name, values, INTEGERS[native.base], reason)


def single_in(native: NativeType) -> Encode:
    """Return an encoder for floats that are exact in 32 bits."""

    def encode(name: str, values: Array) -> Array:
        narrow = values.cast(pa.float32())
        same = pc.or_(pc.equal(narrow.cast(pa.float64()), values), pc.is_nan(values))
        reject_first(name, values, pc.invert(same), f"{{}} has more digits than {native.label} can store")
        return narrow

    return encode


def number_as_float(native: NativeType) -> Encode:
    """Return an encoder for integers and decimals that are exact as floats."""
    kind = pa.float32() if native.base == "float4" else pa.float64()

    def exact(value: Decimal | int) -> float:
        number = pa.scalar(float(value), pa.float64()).cast(kind).as_py()
        if number == number and number != value:  # noqa: PLR0124  # false for NaN only
            raise ValueError(f"{short_repr(value)} has more digits than {native.label} can store")
        return float(number)

    def encode(name: str, values: Array) -> Array:
        try:
            if pa.types.is_integer(values.type):
                return values.cast(kind)
        except pa.ArrowInvalid:  # large integers, some of which are exact
            return convert_each(name, values.to_pylist(), exact, kind)
        return convert_each(name, _decimals_of(values), exact, kind)

    return encode


def numeric_in(native: NativeType) -> Encode:
    """Return an encoder for integers and decimals with no more decimal places than the NUMERIC column."""
    scale = _scale(native)

    def exact(value: Decimal) -> bytes:
        _, digits, exponent = value.as_tuple()
        if isinstance(exponent, int) and exponent < -scale and any(digits[scale + exponent :]):
            raise ValueError(f"{short_repr(value)} has more than {scale} decimal places")
        return numeric_wire(value)

    def encode(name: str, values: Array) -> Array:
        if pa.types.is_integer(values.type):
            values = values.cast(pa.decimal128(19, 0))
        if not pa.types.is_decimal128(values.type) or not scale >= 0:
            return convert_each(name, _decimals_of(values), exact, pa.large_binary())
        if values.type.scale <= scale:
            return values
        return cast_exactly(
            name, values, pa.decimal128(_WIDE, scale), f"{{}} has more than {scale} decimal places"
        )

    return encode


def float_as_numeric(native: NativeType) -> Encode:
    """Return an encoder for floats as the shortest decimal that reads back as the same float."""
    encode_decimals, scale = numeric_in(native), _scale(native)

    def encode(name: str, values: Array) -> Array:
        texts = values.cast(pa.large_string())
        try:
            decimals = (
                texts if native.modifier < 0 else texts.cast(pa.decimal128(_WIDE, min(max(scale, 0), 15)))
            )
        except pa.ArrowInvalid:  # more decimals, or not finite
            decimals = texts
        return encode_decimals(name, decimals)

    return encode


def _scale(native: NativeType) -> int:
    return native.digits[1] if native.modifier >= 0 else _MOST_DECIMALS


def _decimals_of(values: Array) -> list[Decimal | None]:
    return [None if value is None else Decimal(value) for value in values.to_pylist()]


def convert_each(name: str, values: Iterable[Any], exact: Callable[[Any], Any], kind: Any) -> Array:  # noqa: ANN401
    """Return an array of the converted values; None stays None.

    Raises:
        RefusedValueError: the first value for which `exact` raises ValueError, TypeError or OverflowError.
    """
    found = []
    for position, value in enumerate(values):
        try:
            found.append(None if value is None else exact(value))
        except (ValueError, TypeError, OverflowError) as error:
            raise RefusedValueError(name, position, str(error)) from error
    return pa.array(found, kind)
