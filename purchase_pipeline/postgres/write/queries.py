"""Writing the rows of a query: PostgreSQL computes and stores them, and none leaves the server."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import TableSlice
from purchase_pipeline.postgres.errors import UnstorableValueError
from purchase_pipeline.postgres.schema.native_types import NativeType, native_types
from purchase_pipeline.postgres.schema.result_types import result_types
from purchase_pipeline.postgres.schema.types import ColumnType, family
from purchase_pipeline.postgres.slices.conditions import slice_query
from purchase_pipeline.postgres.statements import execute_text, with_values
from purchase_pipeline.postgres.write.batches import WriteResult, write_source
from purchase_pipeline.postgres.write.copy import CopyResult
from purchase_pipeline.postgres.write.row_source import RowSource
from purchase_pipeline.postgres.write.staged_casts import STAGED, Cast, insert_cast
from purchase_pipeline.postgres.write.staging import insert_query
from purchase_pipeline.postgres.write_options import WriteOptions

_WIDER = {
    "int2": {"int4", "int8", "numeric"},
    "int4": {"int8", "numeric"},
    "int8": {"numeric"},
    "float4": {"float8"},
    "varchar": {"text"},
    "date": {"timestamp"},
}
_NUMBERS = {"int2", "int4", "int8", "float4", "float8"}
_GOES_INTO = {
    "integer": {*_NUMBERS, "numeric"},
    "float": {*_NUMBERS, "numeric"},
    "numeric": {"float4", "float8", "numeric", "money"},
    "text": {"text", "varchar", "bpchar", "citext", "name", "char", "json", "jsonb", "uuid"},
    "date": {"timestamp"},
    "json": {"json", "jsonb"},
}
"""Base types to data_clause a query's columns may be assigned, by family: the same as for frames."""
_SORTED = (sa.Boolean, sa.Date, sa.DateTime, sa.Integer, sa.Numeric, sa.String)
_UNNAMED = "?column?"  # PostgreSQL's name for a column without one


def is_query(kind: Any) -> bool:  # noqa: ANN401
    """Return whether a class is a query: `select`, `union_all`, `text(...).columns(...)`, ..."""
    return isinstance(kind, type) and issubclass(kind, sa.SelectBase)


def write_query(
    connection: sa.Connection, table_slice: TableSlice, query: sa.SelectBase, options: WriteOptions
) -> WriteResult:
    """Write a query's rows, as `write_batches` does a stream's, without sending them over the network.

    The query runs in the write's transaction: the slice's old rows are already deleted.

    Raises:
        LookupError: the query reads a table that does not exist.
        SchemaDriftError: the query's columns do not match the table's.
        UnstorableValueError: duplicate or missing column names, or a value that its column cannot store.
        RowsNotStoredError: a trigger or rule of the table dropped, moved or added rows.
        UnusableNameError: PostgreSQL would truncate a column's name.
    """
    started = time.perf_counter()
    types = _types_of(connection, query, f"{table_slice.schema}.{table_slice.table}")
    with _staged(connection, query, "WITH NO DATA"):
        found = native_types(connection, sa.table(STAGED))

    def fits(name: str, native: NativeType) -> bool:
        return native.base == found[name].base or native.base in _GOES_INTO.get(family(types[name]), ())

    def copy_into(table: sa.Table) -> CopyResult:
        native = native_types(connection, table)
        casts = {
            name: None if _is_lossless(one, native[name]) else Cast(name, one, native[name])
            for name, one in found.items()
        }
        if not any(casts.values()):
            return CopyResult(insert_query(connection, table, list(types), query), bytes=0)
        with _staged(connection, query, "WITH DATA"):
            return CopyResult(insert_cast(connection, table, casts), bytes=0)

    source = RowSource(types, fits, copy_into, counted=False)
    table, written = write_source(connection, table_slice, source, options)
    seconds = time.perf_counter() - started
    preview = _first_rows(connection, table, table_slice, options.preview_rows)
    return WriteResult(table, options.declared, written, seconds, preview)


@contextmanager
def _staged(connection: sa.Connection, query: sa.SelectBase, data_clause: str) -> Iterator[None]:
    """Create a temporary table with the query's columns, types and, `WITH DATA`, rows."""
    text = f"CREATE TEMPORARY TABLE {STAGED} ON COMMIT DROP AS {with_values(connection, query)} {data_clause}"
    execute_text(connection, text)
    yield
    execute_text(connection, f"DROP TABLE {STAGED}")


def _is_lossless(found: NativeType, native: NativeType) -> bool:
    """Return whether an assignment between the types never changes a value."""
    if native.domain not in (None, found.domain):
        return False
    if native.modifier not in (-1, found.modifier) or (native.modifier != -1 and native.base != found.base):
        return False
    return native.base == found.base or native.base in _WIDER.get(found.base, ())


def _types_of(connection: sa.Connection, query: sa.SelectBase, table: str) -> dict[str, ColumnType]:
    """Return the query's columns and types, without computing a row."""
    every_column: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(query.subquery()).limit(0)
    try:
        result = connection.execute(every_column)
    except sa.exc.ProgrammingError as error:
        if not isinstance(error.orig, psycopg.errors.UndefinedTable):
            raise
        seen = error.orig.diag.message_primary
        raise LookupError(
            f"The query for table {table}: {seen}. Materialize the asset that writes it first."
        ) from error
    for name, count in Counter(result.keys()).items():
        if count > 1:
            raise UnstorableValueError(table, None, name, "two columns of the query have this name")
        if name == _UNNAMED:
            raise UnstorableValueError(table, None, None, "a column of the query has no name: add a label")
    return result_types(result)


def _first_rows(
    connection: sa.Connection, table: sa.Table | None, table_slice: TableSlice, count: int
) -> Sequence[Mapping[str, Any]]:
    """Return the first rows by the table's columns, in their order, that can be sorted."""
    if table is None or not count:
        return []
    order = [column for column in table.columns if isinstance(column.type, _SORTED)]
    query = slice_query(connection, table, table_slice).order_by(*order).limit(count)
    return [dict(row) for row in connection.execute(query).mappings()]
