"""From a value to its column: unchanged, or refused. Never rounded, cut or reinterpreted.

PostgreSQL itself refuses most of what a column cannot hold. What stands here is what it would change without a word:
digits beyond a NUMERIC's scale, a float beside an integer, the zone of a timestamp.
"""

import json
import math
import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from purchase_pipeline.postgres.schema.types import ColumnType, family, shown, sql

Cast = Callable[[Any], Any]
"""Takes a value that is not None; raises ValueError, TypeError or OverflowError for one that would change."""

_MOST_DECIMALS = 16383  # of a NUMERIC: PostgreSQL, table 8.2
_INTEGER_BITS = {"SMALLINT": 16, "INTEGER": 32}
_TEXT_OR_LARGE_FLOAT = re.compile(r'"(?:[^"\\]|\\.)*"|-?[\d.]+e\+\d+')
_TAKEN_AT_THEIR_WORD = ("integer", "numeric", "float", "text")  # bounds that only a declaration has
_AS_JSON = ("json", "array", "text", "boolean", "integer", "float")


def unchanged(value: Any) -> Any:  # noqa: ANN401
    """Hand the value on: PostgreSQL stores it as it is, or says why not."""
    return value


def cast_between(incoming: ColumnType, column: ColumnType) -> Cast | None:
    """Return how a value of one type is written into a column of another, or None: they do not go together."""
    kinds = family(incoming), family(column)
    if kinds[0] in _TAKEN_AT_THEIR_WORD and sql(incoming) == sql(column) != "NUMERIC":
        return unchanged
    if kinds in _CASTS:
        return _CASTS[kinds](column)
    if kinds[0] == "unknown":
        return unchanged
    if kinds[1] == "json":
        return _as_json if kinds[0] in _AS_JSON else None
    if kinds == ("array", "array"):
        return _array(incoming, column)
    return unchanged if kinds[0] == kinds[1] else None


def _array(incoming: Any, column: Any) -> Cast | None:  # noqa: ANN401
    kinds = family(incoming.item_type), family(column.item_type)
    # A list's numbers may be of several classes, and psycopg writes lists of one.
    one_class = _ONE_CLASS.get(kinds)
    element = one_class(column.item_type) if one_class else cast_between(incoming.item_type, column.item_type)
    if element is None or element is unchanged:
        return element and list
    return lambda values: [None if value is None else element(value) for value in values]


def _integer_in(column: ColumnType) -> Cast:
    bits = _INTEGER_BITS.get(sql(column))
    if bits is None:
        return unchanged

    def bounded(value: int) -> int:
        if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            raise ValueError(f"{value} is beyond {sql(column)}")
        return value

    return bounded


def _decimal_in(column: Any) -> Cast:  # noqa: ANN401
    scale = _MOST_DECIMALS if column.scale is None else column.scale

    def scaled(value: Decimal | int) -> Decimal:
        decimal = value if isinstance(value, Decimal) else Decimal(value)
        _, digits, exponent = decimal.as_tuple()
        if isinstance(exponent, int) and exponent < -scale and any(digits[scale + exponent :]):
            raise ValueError(f"{shown(value)} has more than {scale} decimals")
        return decimal

    return scaled


def _float_as_decimal(column: ColumnType) -> Cast:
    scaled = _decimal_in(column)
    return lambda value: scaled(Decimal(repr(value)))


def _float_in(column: ColumnType) -> Cast:
    if sql(column) != "REAL":
        return unchanged

    def single(value: float) -> float:
        if math.isfinite(value) and struct.unpack("f", struct.pack("f", value))[0] != value:
            raise ValueError(f"{value!r} has more digits than REAL")
        return value

    return single


def _exact_float(column: ColumnType) -> Cast:
    narrow = _float_in(column)

    def exact(value: Any) -> Any:  # noqa: ANN401
        if not math.isnan(value) and float(value) != value:
            raise ValueError(f"{shown(value)} has more digits than {sql(column)}")
        return narrow(float(value))

    return exact


def _whole_number(column: ColumnType) -> Cast:
    bounded = _integer_in(column)

    def whole(value: float) -> int:
        if math.isfinite(value) and value != int(value):
            raise ValueError(f"{value!r} is no whole number, and the column is {sql(column)}")
        return int(bounded(int(value)))

    return whole


def _text_in(column: Any) -> Cast:  # noqa: ANN401
    length = column.length
    if length is None:
        return unchanged

    def short(value: str) -> str:
        if len(value) > length:
            raise ValueError(f"{shown(value)} has {len(value)} characters, and the column is {sql(column)}")
        return value

    return short


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"{value} has no zone, and the column's values have one")
    return value.astimezone(UTC)


def _as_json(value: object) -> str:
    try:
        _refuse_keys_that_are_no_text(value)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except RecursionError as error:
        raise ValueError("lists and dicts nested too deep, or in themselves") from error
    return _TEXT_OR_LARGE_FLOAT.sub(_with_a_point, text) if "e+" in text else text


def _with_a_point(match: re.Match[str]) -> str:
    """Write a large float out: of 1e+16, PostgreSQL would make an integer."""
    token = match.group()
    return token if token.startswith('"') else f"{Decimal(token):f}.0"


def _refuse_keys_that_are_no_text(value: object) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"JSON keys are texts, and {shown(key)} is none")
            _refuse_keys_that_are_no_text(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_keys_that_are_no_text(inner)


_CASTS: dict[tuple[str, str], Callable[[ColumnType], Cast]] = {
    ("integer", "integer"): _integer_in,
    ("integer", "numeric"): lambda _: unchanged,
    ("integer", "float"): _exact_float,
    ("numeric", "numeric"): _decimal_in,
    ("numeric", "float"): _exact_float,
    ("float", "float"): _float_in,
    ("float", "integer"): _whole_number,
    ("float", "numeric"): _float_as_decimal,
    ("text", "text"): _text_in,
    ("text", "uuid"): lambda _: unchanged,
    ("text", "other"): lambda _: unchanged,
    ("date", "timestamp"): lambda _: unchanged,
    ("zoned timestamp", "zoned timestamp"): lambda _: _in_utc,
}
_ONE_CLASS: dict[tuple[str, str], Callable[[ColumnType], Cast]] = {
    ("numeric", "numeric"): _decimal_in,
    ("integer", "numeric"): _decimal_in,
    ("float", "float"): _exact_float,
}
