"""COPY of rows into a table."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, LiteralString

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.adapt import PyFormat, Transformer
from psycopg.copy import LibpqWriter

from purchase_pipeline.postgres.database_errors import server_message
from purchase_pipeline.postgres.errors import RowsNotStoredError, UnstorableValueError
from purchase_pipeline.postgres.frames.rows import CopyText, Row
from purchase_pipeline.postgres.schema.table_errors import table_error
from purchase_pipeline.postgres.schema.types import short_repr

_BLOCK_BYTES = 1 << 15  # of text joined at once, estimated from the rows before
_BLOCK_ROWS = 200
_HEADER, _TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"  # PostgreSQL, COPY, "Binary Format"
_ROW_ERRORS = ("22", "23")  # SQLSTATE classes: data exceptions, constraint violations
_TOO_LARGE = "54000"  # SQLSTATE of a row larger than a page
_NEVER_SEPARATORS = "\b\v\f\r\\"
_ESCAPES = str.maketrans(
    {char: f"\\{name}" for char, name in zip(f"\t\n{_NEVER_SEPARATORS}", "tnbvfr\\", strict=True)}
)


@dataclass(frozen=True)
class CopyResult:
    """The number of rows that PostgreSQL stored, and the bytes sent by COPY."""

    rows: int
    bytes: int


class _CountingWriter(LibpqWriter):
    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        super().__init__(cursor)
        self.bytes = 0

    def write(self, data: Any) -> None:  # noqa: ANN401
        self.bytes += len(data)
        super().write(data)


def require_all(table: sa.FromClause, handed: int, stored: int) -> None:
    """Check that all given rows are stored.

    Raises:
        RowsNotStoredError: more or fewer are stored.
    """
    if stored != handed:
        raise RowsNotStoredError(str(table), handed, stored)


def copy_rows(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Iterable[Row]
) -> CopyResult:
    """Write rows to the table, inside the connection's transaction.

    Raises: as `copy_declared`.
    """
    return copy_declared(connection, table, columns, [rows])


def copy_declared(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    batches: Iterable[Iterable[Row] | CopyText],
) -> CopyResult:
    """Write batches of rows, or of lines, to the table, inside the connection's transaction.

    Raises:
        UnstorableValueError: psycopg or PostgreSQL rejects a value, with its row and column.
        RowsNotStoredError: a trigger dropped rows.
        DatabaseRefusalError: the role may not write, or a row is larger than a page.
        psycopg.Error: errors not caused by a row: a lost connection, a full disk, a deadlock.
    """

    def write(copy: psycopg.Copy) -> int:
        written = 0
        for batch in batches:
            if isinstance(batch, CopyText):
                copy.write(batch.data)
                written += batch.rows
            else:
                written = _write(copy, table, columns, iter(batch), written)
        return written

    return _copied(connection, table, columns, "", write)


def copy_batches(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], batches: Iterable[Any]
) -> CopyResult:
    """Write Arrow record batches in binary format, whose columns are encoded for the table.

    Raises:
        UnstorableValueError: PostgreSQL rejects a value, with its row and column.
        RowsNotStoredError, psycopg.Error: as `copy_rows`.
    """
    return _copied(connection, table, columns, " WITH (FORMAT BINARY)", lambda copy: _encode(copy, batches))


def _copied(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    options: LiteralString,
    write: Callable[[psycopg.Copy], int],
) -> CopyResult:
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"COPY requires psycopg 3; this connection uses {type(driver).__module__}.")
    statement = sql.SQL("COPY {table} ({columns}) FROM STDIN{options}").format(
        table=sql.Identifier(*filter(None, (table.schema, table.name))),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        options=sql.SQL(options),
    )
    with driver.cursor() as cursor:
        writer = _CountingWriter(cursor)
        try:
            with cursor.copy(statement, writer=writer) as copy:
                written = write(copy)
        except psycopg.DatabaseError as error:
            if error.sqlstate == _TOO_LARGE:
                raise table_error(connection, table, error) from error
            if (error.sqlstate or "")[:2] not in _ROW_ERRORS:
                raise
            raise _rejected(error, table, columns) from error
        require_all(table, handed=written, stored=cursor.rowcount)
    return CopyResult(written, writer.bytes)


def _encode(copy: psycopg.Copy, batches: Iterable[Any]) -> int:
    from pgpq import ArrowToPostgresBinaryEncoder  # noqa: PLC0415  # needs pyarrow, which declared streams do not

    written = 0
    copy.write(_HEADER)
    for batch in batches:
        encoder = ArrowToPostgresBinaryEncoder(batch.schema)
        encoder.write_header()
        encoded = encoder.write_batch(batch) + encoder.finish()  # finish() returns the rows and a trailer
        copy.write(memoryview(encoded)[: -len(_TRAILER)])
        written += batch.num_rows
    copy.write(_TRAILER)
    return written


def _write(
    copy: psycopg.Copy, table: sa.Table, columns: Sequence[str], rows: Iterator[Row], written: int
) -> int:
    """Write rows of strings directly; from the first other row on, let psycopg adapt each value.

    Return the number of rows written, these and those before.
    """
    encoding = copy.connection.info.encoding
    block = list(islice(rows, 1))
    while block and (text := text_format(block, len(columns), encoding)) is not None:
        copy.write(text)
        written += len(block)
        row_bytes = len(text) // len(block)
        block = list(islice(rows, min(_BLOCK_BYTES // row_bytes + 1, _BLOCK_ROWS)))
    for row in chain(block, rows):
        written += 1
        try:
            copy.write_row(row)
        except (UnicodeError, psycopg.DataError, psycopg.ProgrammingError) as error:
            raise _unadaptable(copy.connection, table, columns, written, row) from error
    return written


def text_format(rows: Sequence[Row], width: int, encoding: str) -> bytes | None:
    """Return COPY data for rows of `width` strings; None if a value is not a string, or cannot be encoded.

    For the format, see PostgreSQL's documentation of COPY, "Text Format".
    """
    if any(len(row) != width for row in rows):
        return None
    try:
        text = "\n".join(map("\t".join, rows))
        separators = text.count("\t") + text.count("\n")
        if separators != len(rows) * width - 1 or any(char in text for char in _NEVER_SEPARATORS):
            text = "\n".join("\t".join(value.translate(_ESCAPES) for value in row) for row in rows)
        return f"{text}\n".encode(encoding)
    except (TypeError, UnicodeEncodeError):
        return None


def _unadaptable(
    driver: psycopg.Connection[Any], table: sa.Table, columns: Sequence[str], number: int, row: Row
) -> UnstorableValueError:
    """Find the value that psycopg cannot adapt, by trying each."""
    transformer = Transformer(driver)
    for name, value in zip(columns, row, strict=False):
        try:
            if value is not None:
                transformer.get_dumper(value, PyFormat.TEXT).dump(value)
        except (UnicodeError, psycopg.Error) as error:
            return UnstorableValueError(str(table), number, name, f"{short_repr(value)}: {error}")
    return UnstorableValueError(str(table), number, None, f"{len(row)} values for {len(columns)} columns")


def _rejected(error: psycopg.DatabaseError, table: sa.Table, columns: Sequence[str]) -> UnstorableValueError:
    """Return PostgreSQL's message, with the row and column in its context."""
    copying = re.search(rf"^COPY {re.escape(table.name)}(.*)", error.diag.context or "", re.MULTILINE)
    location = copying[1].partition(': "')[0] if copying else ""
    number = re.search(r"\d+", location)
    column = error.diag.column_name or next(
        (name for name in sorted(columns, key=len, reverse=True) if location.endswith(f" {name}")), None
    )
    return UnstorableValueError(str(table), number and int(number.group()), column, server_message(error))
