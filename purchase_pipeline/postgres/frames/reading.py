"""Slices on their way out of a table: whole, or in batches as they are asked for."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, INET

from purchase_pipeline.postgres.connections import transaction
from purchase_pipeline.postgres.frames.rows import Row
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType

BATCH_ROWS = 20_000

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
_OTHER: ColumnType = INET()
"""Stands for the types that Python has a class of its own for, or none: addresses, ranges, points."""


def result_types(result: sa.CursorResult[Any]) -> dict[str, ColumnType]:
    """Return the columns of a result, in order, with their types as PostgreSQL describes them."""
    description: Sequence[psycopg.Column] = result.cursor.description  # type: ignore[assignment]
    return {column.name: _column_type(column) for column in description}


def read_slice(
    connection: sa.Connection, query: sa.Select[Any]
) -> tuple[dict[str, ColumnType], Sequence[Row]]:
    """Return the columns and all the rows."""
    result = connection.execute(query)
    return result_types(result), result.all()


def stream_slice(
    connection: sa.Connection, query: sa.Select[Any], batch_rows: int = BATCH_ROWS
) -> tuple[dict[str, ColumnType], Iterator[Sequence[Row]]]:
    """Return the columns, and the rows in batches, read by a cursor in the server as they are asked for.

    All batches are of one moment: they come from one statement. It has a connection of its own, open from the first
    batch to the last, or until the iterator is let go.
    """

    def batches() -> Iterator[Sequence[Row]]:
        with transaction(connection.engine) as own:
            own.detach()  # closed in the end, not kept: the stream may outlive who keeps connections
            yield from own.execution_options(yield_per=batch_rows).execute(query).partitions()

    return result_types(connection.execute(query.limit(0))), batches()


def _column_type(column: psycopg.Column) -> ColumnType:
    known = psycopg.adapters.types.get(column.type_code)
    if known is None:  # an enumeration, say: psycopg hands on its text
        return types.TEXT
    is_array = column.type_code == known.array_oid
    if known.name == "numeric":
        return ARRAY(types.NUMERIC) if is_array else sa.Numeric(column.precision, column.scale)
    found = _BY_NAME.get(known.name, _OTHER)
    return ARRAY(found) if is_array else found
