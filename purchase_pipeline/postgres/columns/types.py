"""Column types: what a Python value asks for, and which type holds two of them.

Inferred types are never narrow: integers become BIGINT, texts TEXT, decimals NUMERIC without bounds.
"""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, INTERVAL, JSONB, TIMESTAMP
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.types import NullType, TypeEngine

ColumnType = TypeEngine[Any]

POSTGRESQL: sa.Dialect = PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]  # SQLAlchemy left it so

UNKNOWN: ColumnType = NullType()
"""The type of a column without a single value: it fits any other, and becomes TEXT in a new table."""

BOOLEAN: ColumnType = sa.Boolean()
BIGINT: ColumnType = sa.BigInteger()
DOUBLE: ColumnType = sa.Double()
NUMERIC: ColumnType = sa.Numeric()
TEXT: ColumnType = sa.Text()
BYTES: ColumnType = BYTEA()
DATE: ColumnType = sa.Date()
TIME: ColumnType = sa.Time()
NAIVE: ColumnType = TIMESTAMP(timezone=False)
ZONED: ColumnType = TIMESTAMP(timezone=True)
DURATION: ColumnType = INTERVAL()
JSON: ColumnType = JSONB()
IDENTIFIER: ColumnType = sa.Uuid()

_BY_CLASS: dict[type, ColumnType] = {
    bool: BOOLEAN,
    float: DOUBLE,
    Decimal: NUMERIC,
    str: TEXT,
    bytes: BYTES,
    bytearray: BYTES,
    memoryview: BYTES,
    date: DATE,
    timedelta: DURATION,
    UUID: IDENTIFIER,
    dict: JSON,
}
_FAMILIES: tuple[tuple[type, str], ...] = (
    (sa.ARRAY, "array"),
    (sa.JSON, "json"),
    (sa.Enum, "other"),
    (sa.Uuid, "uuid"),
    (sa.Boolean, "boolean"),
    (sa.Integer, "integer"),
    (sa.Float, "float"),
    (sa.Numeric, "numeric"),
    (sa.String, "text"),
    (sa.LargeBinary, "bytes"),
    (sa.Date, "date"),
    (sa.Time, "time"),
    (INTERVAL, "interval"),
    (sa.Interval, "interval"),
    (NullType, "unknown"),
)
_MIXTURES: dict[frozenset[str], ColumnType] = {
    frozenset({"integer", "numeric"}): NUMERIC,
    frozenset({"integer", "float"}): DOUBLE,
    frozenset({"json", "array"}): JSON,
}


class NoColumnTypeError(TypeError):
    """A value that no column type holds, alone or with the values before it.

    Attributes:
        position: the value's, from 0.
    """

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position


def shown(value: object) -> str:
    """Return a value as an error may show it: recognisable, and short."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004  # a line of a terminal


def sql(column_type: ColumnType) -> str:
    """Return the type as PostgreSQL names it: two spellings of one type give one text."""
    kind = family(column_type)
    if kind == "unknown":
        return "unknown"
    if kind == "array":
        return f"{sql(column_type.item_type)}[]"  # type: ignore[attr-defined]  # it is an array
    if isinstance(column_type, sa.Float):
        single = isinstance(column_type, sa.REAL) or (column_type.precision or 53) <= 24  # noqa: PLR2004  # bits
        return "REAL" if single else "DOUBLE PRECISION"
    if isinstance(column_type, sa.Numeric) and column_type.precision is not None:
        return f"NUMERIC({column_type.precision}, {column_type.scale or 0})"
    return column_type.compile(POSTGRESQL)


def family(column_type: ColumnType) -> str:
    """Return which kind of values a type holds, whatever its bounds; `other` for what Python has no class for."""
    if isinstance(column_type, sa.DateTime):
        return "zoned timestamp" if column_type.timezone else "timestamp"
    return next((name for kind, name in _FAMILIES if isinstance(column_type, kind)), "other")


def inferred(values: Collection[object]) -> ColumnType:
    """Return the type for a column of Python values, where None is a missing one.

    Raises:
        NoColumnTypeError: a value that no column type holds, alone or with the values before it.
    """
    found, classes = UNKNOWN, set[type]()
    for position, value in enumerate(values):
        if value is None or (value.__class__ in classes and value.__class__ in _BY_CLASS):
            continue
        classes.add(value.__class__)
        wanted = _of_value(value)
        if wanted is None:
            raise NoColumnTypeError(
                position, f"{shown(value)} is {type(value).__name__}, which has no column type"
            )
        mixed = common(found, wanted)
        if mixed is None:
            raise NoColumnTypeError(
                position, f"{shown(value)} is {type(value).__name__}, the values before it are {sql(found)}"
            )
        found = mixed
    if family(found) == "float" and classes != {float}:
        _refuse_integers_that_are_no_floats(values)
    return found


def common(one: ColumnType, other: ColumnType) -> ColumnType | None:
    """Return the type that holds the values of two inferred ones, or None."""
    families = {family(one), family(other)}
    if "unknown" in families:
        return other if family(one) == "unknown" else one
    if families == {"array"}:
        elements = common(one.item_type, other.item_type)  # type: ignore[attr-defined]  # both are arrays
        return JSON if elements is None else ARRAY(elements)
    return one if len(families) == 1 else _MIXTURES.get(frozenset(families))


def _of_value(value: object) -> ColumnType | None:
    if isinstance(value, Enum):  # psycopg would write its name
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return BIGINT if -(2**63) <= value < 2**63 else NUMERIC
    if isinstance(value, datetime):
        return NAIVE if value.tzinfo is None else ZONED
    if isinstance(value, time):  # PostgreSQL would drop a zone without a word
        return TIME if value.tzinfo is None else None
    if isinstance(value, list | tuple):
        return _of_list(value)
    return next((_BY_CLASS[kind] for kind in type(value).__mro__ if kind in _BY_CLASS), None)


def _refuse_integers_that_are_no_floats(values: Collection[object]) -> None:
    for position, value in enumerate(values):
        if isinstance(value, int) and float(value) != value:
            reason = f"{value} beside floats would become one, and has more digits than they have"
            raise NoColumnTypeError(position, reason)


def _of_list(values: list[Any] | tuple[Any, ...]) -> ColumnType:
    """Return an array type for scalars of one kind; JSON for what is nested, or mixed."""
    if any(isinstance(value, list | tuple | dict) for value in values):
        return JSON
    try:
        return ARRAY(inferred(values))
    except NoColumnTypeError:
        return JSON
