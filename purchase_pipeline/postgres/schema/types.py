"""Column types: one for each kind of Python value, their families and SQL names."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA, INTERVAL, JSONB, TIMESTAMP
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.types import NullType, TypeEngine

ColumnType = TypeEngine[Any]

POSTGRESQL: sa.Dialect = PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]  # SQLAlchemy left it so

UNKNOWN: ColumnType = NullType()
"""The type of a column without values. It is compatible with any other, and becomes TEXT in a new table."""


class _UnknownFloat(NullType):
    """An unknown type that is a float unless values say otherwise."""


UNKNOWN_FLOAT: ColumnType = _UnknownFloat()
"""The type of a float column without values, which pandas creates for missing data."""

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


class NamedType(sa.types.UserDefinedType[Any]):
    """A PostgreSQL type that is known only by name."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: object) -> str:
        """Return the name as SQL."""
        return self.name


def short_repr(value: object) -> str:
    """Return a value's repr for error messages, shortened."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004  # a line of a terminal


def sql(column_type: ColumnType) -> str:
    """Return the type's SQL name; equal types have equal names."""
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
    """Return the kind of values that a type holds; `other` if Python has no class for them."""
    if isinstance(column_type, sa.DateTime):
        return "zoned timestamp" if column_type.timezone else "timestamp"
    return next((name for kind, name in _FAMILIES if isinstance(column_type, kind)), "other")
