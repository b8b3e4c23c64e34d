"""Column types of a query's result, as PostgreSQL describes them."""

from collections.abc import Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType

_BY_NAME: dict[str, ColumnType] = {
    "bool": types.BOOLEAN,
    **dict.fromkeys(("int2", "int4", "int8", "oid"), types.BIGINT),
    **dict.fromkeys(("float4", "float8"), types.DOUBLE),
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "char"), types.TEXT),
    "bytea": types.BYTES,
    "date": types.DATE,
    "time": types.TIME,
    "timestamp": types.NAIVE,
    "timestamptz": types.ZONED,
    "interval": types.DURATION,
    **dict.fromkeys(("json", "jsonb"), types.JSON),
    "uuid": types.IDENTIFIER,
}


def result_types(result: sa.CursorResult[Any]) -> dict[str, ColumnType]:
    """Return the result's columns, in order, with their types."""
    description: Sequence[psycopg.Column] = result.cursor.description  # type: ignore[assignment]
    return {column.name: _column_type(column) for column in description}


def _column_type(column: psycopg.Column) -> ColumnType:
    known = psycopg.adapters.types.get(column.type_code)
    if known is None:  # such as an enum, which psycopg returns as text
        return types.TEXT
    is_array = column.type_code == known.array_oid
    if known.name == "numeric":
        return ARRAY(types.NUMERIC) if is_array else sa.Numeric(column.precision, column.scale)
    found = _BY_NAME.get(known.name) or types.NamedType(known.regtype or known.name)
    return ARRAY(found) if is_array else found
