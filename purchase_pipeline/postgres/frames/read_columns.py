"""The SQL that reads a table's columns unchanged, and the type of each."""

from typing import Any, NamedTuple

import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.native_types import NativeType
from purchase_pipeline.postgres.schema.types import ColumnType

UNREADABLE = "cannot be read exactly: "
"""Part of the error that the SQL raises for a value with no exact representation."""

_WITHOUT_MONTHS = """
    CASE WHEN date_part('year', {0}) = 0 AND date_part('month', {0}) = 0
        AND abs(extract(epoch FROM {0})) <= 9223372036854.775807
    THEN (extract(epoch FROM {0}) * 1000000)::bigint ELSE ({1} || {0}::text)::bigint END
"""
_DIRECT: dict[str, ColumnType] = {
    "bool": types.BOOLEAN,
    **dict.fromkeys(("int2", "int4", "int8"), types.BIGINT),
    **dict.fromkeys(("float4", "float8"), types.DOUBLE),
    **dict.fromkeys(("text", "varchar", "bpchar"), types.TEXT),
    "bytea": types.BYTES,
    "date": types.DATE,
    "time": types.TIME,
    "timestamp": types.NAIVE,
    "timestamptz": types.ZONED,
    "uuid": types.IDENTIFIER,
}
_CAST: dict[str, tuple[ColumnType, str]] = {
    "oid": (types.BIGINT, "{}::bigint"),
    "inet": (types.TEXT, "CASE WHEN {0} IS NOT NULL THEN concat({0}) END"),  # a cast to text would add /32
    "money": (sa.Numeric(), "{}::numeric"),
    "json": (types.JSON, "{}::text"),
    "jsonb": (types.JSON, "{}::text"),
    "hstore": (types.JSON, "{}::jsonb::text"),
    "interval": (types.DURATION, _WITHOUT_MONTHS),
}
_ONE_DIMENSION = (
    "CASE WHEN array_ndims({0}) > 1 OR array_lower({0}, 1) <> 1 "
    "THEN ({1} || {0}::text)::{2} WHEN {0} IS NOT NULL THEN {3} END"
)
_EACH = "ARRAY(SELECT {} FROM unnest({}) WITH ORDINALITY AS each(value, place) ORDER BY place)"


class ReadColumn(NamedTuple):
    """A column to read: its type and the expression to select."""

    column_type: ColumnType
    expression: sa.ColumnElement[Any]


def read_column(name: str, native: NativeType) -> ReadColumn:
    """Return how to read a column. If Arrow has no type for it, it is read as PostgreSQL's text."""
    if native.element is not None:
        return _array(name, native.element)
    if native.base in _DIRECT:
        return ReadColumn(_DIRECT[native.base], sa.column(name))
    if native.base == "numeric":
        return ReadColumn(_numeric(native), _expression(name, "{}::text"))
    column_type, template = _CAST.get(native.base, (types.TEXT, "{}::text"))
    return ReadColumn(column_type, _expression(name, template))


def _array(name: str, element: NativeType) -> ReadColumn:
    if element.base == "interval":
        return ReadColumn(
            ARRAY(types.DURATION), _expression(name, _ONE_DIMENSION, "bigint[]", _WITHOUT_MONTHS)
        )
    column_type = _numeric(element) if element.base == "numeric" else _DIRECT.get(element.base, types.TEXT)
    known = element.base in _DIRECT and element.base not in ("bpchar", "uuid")
    # Cast the array's own text: element by element, CHAR would lose its padding, and an address gain /32.
    kind = f"{element.unbounded}[]" if known else "text::text[]"
    return ReadColumn(ARRAY(column_type), _expression(name, _ONE_DIMENSION, kind))


def _numeric(native: NativeType) -> ColumnType:
    if native.modifier < 0:
        return types.NUMERIC
    precision, scale = native.digits
    return sa.Numeric(precision, scale) if scale >= 0 else types.NUMERIC


def _expression(name: str, template: str, kind: str = "", each: str = "") -> sa.ColumnElement[Any]:
    """Return the SQL for a column; `each` is the expression for an array's elements, by default a cast."""
    column = sql.Identifier(name).as_string()
    refusal = sql.Literal(f"column {name!r} {UNREADABLE}").as_string()
    elements = _EACH.format(each.format("value", refusal), column) if each else f"{column}::{kind}"
    return sa.literal_column(template.format(column, refusal, kind, elements)).label(name)
