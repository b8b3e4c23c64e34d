"""Slices on their way out of a table, in Arrow, as they are asked for: ADBC reads them on a connection of its own."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import adbc_driver_postgresql
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from adbc_driver_manager import AdbcConnection, AdbcStatement
from adbc_driver_manager import Error as AdbcError

from purchase_pipeline.postgres.connections import settings_query
from purchase_pipeline.postgres.errors import RefusedValueError, UnfinishedReadError, UnreadableValueError
from purchase_pipeline.postgres.frames.exact import refuse_times
from purchase_pipeline.postgres.frames.read_columns import UNREADABLE, read_column
from purchase_pipeline.postgres.schema.native_types import native_types
from purchase_pipeline.postgres.schema.types import ColumnType, family
from purchase_pipeline.postgres.statements import with_values

BATCH_ROWS = 20_000
_STATEMENT_OPTIONS = {"adbc.postgresql.batch_size_hint_bytes": str(4 << 20)}
"""Batches of 4 MiB: of ADBC's own 16 MiB several are held at once."""
_FAILURES = (AdbcError, OSError, pa.ArrowException)
"""What a server's error comes as: ADBC's own before the first rows, pyarrow's from among them."""


def read_batches(
    connection: sa.Connection, table: sa.Table, query: sa.Select[Any], batch_rows: int | None = BATCH_ROWS
) -> tuple[dict[str, ColumnType], Iterator[pa.Table]]:
    """Return the columns of a query of the table, and its rows in batches, read as they are asked for.

    All batches are of one moment: they come from one statement. Its connection is open from the first batch to the
    last, or until the iterator is let go. Without a number of rows, all are one batch, be there any or none.

    Raises:
        UnreadableValueError: from the iterator; a value that has no exact form in Arrow, by its column.
        UnfinishedReadError: from the iterator; the server went away, or refused to go on.
    """
    native = native_types(connection, table)
    asked = {name: read_column(name, native[name]) for name in _names(query)}
    columns = {name: one.column_type for name, one in asked.items()}
    rows = query.subquery()
    wanted = sa.select(*(one.expression for one in asked.values())).select_from(rows)
    source = _Source(
        str(table), _conninfo(connection), settings_query(connection.engine), with_values(connection, wanted)
    )
    return columns, _batches(source, columns, batch_rows)


class _Source(NamedTuple):
    """What is read, and where: all that is known before the connection that asks for it is closed."""

    table: str
    conninfo: str
    settings: str
    query: str


def _batches(
    source: _Source, columns: Mapping[str, ColumnType], batch_rows: int | None
) -> Iterator[pa.Table]:
    number = 0
    try:
        # Not by its `dbapi`, whose import is that of pandas and of polars: 66 MiB, whoever reads what.
        with (
            adbc_driver_postgresql.connect(source.conninfo) as database,
            AdbcConnection(database) as own,
            AdbcStatement(own) as statement,
        ):
            own.set_autocommit(False)  # the settings are the transaction's
            statement.set_options(**_STATEMENT_OPTIONS)
            _rows_of(statement, source.settings).read_all()
            for piece in _pieces(_rows_of(statement, source.query), batch_rows):
                yield _checked(piece, source.table, columns, number)
                number += piece.num_rows
    except _FAILURES as error:
        words = str(error)
        if UNREADABLE in words:
            seen = words[words.index("column ") :].splitlines()[0].removesuffix('"')
            raise UnreadableValueError(f"table {source.table}, {seen}") from error
        raise UnfinishedReadError(source.table, words) from error


def _rows_of(statement: AdbcStatement, query: str) -> pa.RecordBatchReader:
    statement.set_sql_query(query)
    stream, _ = statement.execute_query()
    return pa.RecordBatchReader.from_stream(stream)


def _names(query: sa.Select[Any]) -> list[str]:
    return list(query.selected_columns.keys())


def _conninfo(connection: sa.Connection) -> str:
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"Reading needs psycopg 3; this connection is by {type(driver).__module__}.")
    info = driver.info
    return psycopg.conninfo.make_conninfo(**info.get_parameters(), password=info.password or None)


def _pieces(reader: pa.RecordBatchReader, rows: int | None) -> Iterator[pa.Table]:
    """Yield tables of so many rows each, the last of fewer; all in one without a number."""
    if rows is None:
        yield reader.read_all()
        return
    left = reader.schema.empty_table()
    for batch in reader:
        left = pa.concat_tables([left, pa.Table.from_batches([batch])])
        while left.num_rows >= rows:
            yield left.slice(0, rows)
            left = left.slice(rows)
    if left.num_rows:
        yield left


def _checked(piece: pa.Table, table: str, columns: Mapping[str, ColumnType], number: int) -> pa.Table:
    for name, column_type in columns.items():
        values, rows = piece[name], None
        if family(column_type) == "array":
            values, rows = pc.list_flatten(values), pc.list_parent_indices(values)
        if not pa.types.is_temporal(values.type) or not len(values):
            continue
        try:
            refuse_times(name, values)
        except RefusedValueError as error:
            position = error.position or 0
            row = number + (position if rows is None else rows[position].as_py()) + 1
            raise UnreadableValueError(f"table {table}, row {row}, column {name!r}: {error}") from error
    return piece
