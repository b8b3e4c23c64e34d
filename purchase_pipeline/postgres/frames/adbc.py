"""Lazy reads of slices as Arrow data, by ADBC on a connection of their own."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from adbc_driver_manager import AdbcStatement
from adbc_driver_manager import Error as AdbcError

from purchase_pipeline.postgres.connections import settings_query
from purchase_pipeline.postgres.errors import RefusedValueError, UnfinishedReadError, UnreadableValueError
from purchase_pipeline.postgres.frames.adbc_connections import connection_of
from purchase_pipeline.postgres.frames.exact import reject_times
from purchase_pipeline.postgres.frames.read_columns import UNREADABLE, read_column
from purchase_pipeline.postgres.schema.native_types import native_types
from purchase_pipeline.postgres.schema.types import ColumnType, family
from purchase_pipeline.postgres.statements import with_values

BATCH_ROWS = 20_000
_STATEMENT_OPTIONS = {"adbc.postgresql.batch_size_hint_bytes": str(4 << 20)}
"""4 MiB per batch: ADBC's default is 16 MiB, and it holds several at once."""
_FAILURES = (AdbcError, OSError, pa.ArrowException)
"""Errors of the server: ADBC's before the first rows, pyarrow's after."""


def read_batches(
    connection: sa.Connection, table: sa.Table, query: sa.Select[Any], batch_rows: int | None = BATCH_ROWS
) -> tuple[dict[str, ColumnType], Iterator[pa.Table]]:
    """Return a query's columns, and its rows in batches that are read lazily.

    All batches come from one statement, and so from one snapshot. Its connection is open from the first batch to the
    last, or until the iterator is closed. With `batch_rows=None`, all rows are one batch, even if there are none.

    Raises:
        UnreadableValueError: from the iterator; Arrow cannot represent a value exactly.
        UnfinishedReadError: from the iterator; the connection was lost, or the query canceled.
    """
    native = native_types(connection, table)
    read_columns = {name: read_column(name, native[name]) for name in _names(query)}
    columns = {name: one.column_type for name, one in read_columns.items()}
    rows = query.subquery()
    selected = sa.select(*(one.expression for one in read_columns.values())).select_from(rows)
    settings = settings_query(connection.engine)
    source = _Source(str(table), _conninfo(connection), settings, with_values(connection, selected))
    return columns, _batches(source, columns, batch_rows)


class _Source(NamedTuple):
    """What to read, and from where, kept after the caller's connection is closed."""

    table: str
    conninfo: str
    settings: str
    query: str


def _batches(
    source: _Source, columns: Mapping[str, ColumnType], batch_rows: int | None
) -> Iterator[pa.Table]:
    number = 0
    try:
        # Not through its `dbapi`, which imports pandas and polars: 66 MiB.
        with connection_of(source.conninfo) as own, AdbcStatement(own) as statement:
            own.set_autocommit(False)  # the settings apply to the transaction
            statement.set_options(**_STATEMENT_OPTIONS)
            _rows_of(statement, source.settings).read_all()
            for chunk in _chunks(_rows_of(statement, source.query), batch_rows):
                yield _checked(chunk, source.table, columns, number)
                number += chunk.num_rows
    except _FAILURES as error:
        message = str(error)
        if UNREADABLE in message:
            seen = message[message.index("column ") :].splitlines()[0].removesuffix('"')
            raise UnreadableValueError(f"table {source.table}, {seen}") from error
        raise UnfinishedReadError(source.table, message) from error


def _rows_of(statement: AdbcStatement, query: str) -> pa.RecordBatchReader:
    statement.set_sql_query(query)
    stream, _ = statement.execute_query()
    return pa.RecordBatchReader.from_stream(stream)


def _names(query: sa.Select[Any]) -> list[str]:
    return list(query.selected_columns.keys())


def _conninfo(connection: sa.Connection) -> str:
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"Reading requires psycopg 3; this connection uses {type(driver).__module__}.")
    info = driver.info
    return psycopg.conninfo.make_conninfo(**info.get_parameters(), password=info.password or None)


def _chunks(reader: pa.RecordBatchReader, rows: int | None) -> Iterator[pa.Table]:
    """Yield tables of that many rows each; one of all rows if None."""
    if rows is None:
        yield reader.read_all()
        return
    rest = reader.schema.empty_table()
    for batch in reader:
        rest = pa.concat_tables([rest, pa.Table.from_batches([batch])])
        while rest.num_rows >= rows:
            yield rest.slice(0, rows)
            rest = rest.slice(rows)
    if rest.num_rows:
        yield rest


def _checked(chunk: pa.Table, table: str, columns: Mapping[str, ColumnType], number: int) -> pa.Table:
    for name, column_type in columns.items():
        values, rows = chunk[name], None
        if family(column_type) == "array":
            values, rows = pc.list_flatten(values), pc.list_parent_indices(values)
        if not pa.types.is_temporal(values.type) or not len(values):
            continue
        try:
            reject_times(name, values)
        except RefusedValueError as error:
            position = error.position or 0
            row = number + (position if rows is None else rows[position].as_py()) + 1
            raise UnreadableValueError(f"table {table}, row {row}, column {name!r}: {error}") from error
    return chunk
