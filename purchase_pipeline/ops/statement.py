"""One SQL statement, run read-only, its rows streamed as text. How they are printed is in `rows.py`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import psycopg
import sqlalchemy as sa
from psycopg import generators
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from purchase_pipeline import PipelineError
from purchase_pipeline.postgres.connections import engine_for

_CHUNK = 1000  # rows that the client holds
_HINTS: dict[type[psycopg.Error], str] = {
    psycopg.errors.ReadOnlySqlTransaction: "This command only reads. To change data: "
    "`purchase-pipeline psql -U purchase_loader`, or on your own server psql with DATABASE_URL.",
    psycopg.errors.InsufficientPrivilege: "It ran as purchase_reader, on your own server as DATABASE_URL's user.",
    psycopg.errors.UndefinedTable: "Load batches first (`purchase-pipeline up`); the sales tables are created by "
    r"`purchase-pipeline report`. `purchase-pipeline psql -c '\d'` lists the tables that exist.",
}


class StatementError(PipelineError):
    """A statement that PostgreSQL refuses, or that this command cannot run."""


class Column(NamedTuple):
    """A column of a result, and the OID of its type."""

    name: str
    type_oid: int


class Result(NamedTuple):
    """The columns of a result, and its rows as they arrive."""

    columns: list[Column]
    rows: Iterator[tuple[Any, ...]]


@contextmanager
def result_of(
    url: str, statement: str, load: Callable[[psycopg.adapt.AdaptersMap], None], timeout_seconds: float = 0
) -> Iterator[Result]:
    """Run a statement in a read-only transaction; it is cancelled when the block is left early.

    `load` registers how values are read. A timeout of 0 is none.

    Raises:
        StatementError: it is refused or fails, has no result, or is more than one statement.
    """
    query = _encoded(statement)
    connecting = engine_for(url).connect().execution_options(postgresql_readonly=True)
    with connecting as connection, connection.begin():
        driver = cast("psycopg.Connection[tuple[Any, ...]]", connection.connection.driver_connection)
        with _explained(connection), driver.cursor() as cursor:
            milliseconds = str(round(timeout_seconds * 1000))
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [milliseconds])
            columns = _columns(driver, query)
            if not columns:
                raise StatementError(_run_without_result(connection, cursor, query))
            load(cursor.adapters)
            size = _CHUNK if psycopg.capabilities.has_stream_chunked() else 1
            rows = cursor.stream(query, size=size)
            try:
                yield Result(columns, rows)
            finally:
                rows.close()  # type: ignore[attr-defined]  # a generator, which cancels what still runs


def _encoded(statement: str) -> bytes:
    try:
        query = statement.encode()
    except UnicodeEncodeError as error:
        raise StatementError("The statement is not valid UTF-8.") from error
    if b"\0" in query:
        raise StatementError("The statement has a NUL character, which PostgreSQL cannot read.")
    return query


def _columns(driver: psycopg.Connection[Any], query: bytes) -> list[Column]:
    """Ask for the columns before the first row: a result without rows has a header, too."""
    driver.pgconn.send_prepare(b"", query)
    _only_result(driver)
    driver.pgconn.send_describe_prepared(b"")
    described = _only_result(driver)
    names = [described.fname(number) or b"" for number in range(described.nfields)]
    return [Column(name.decode(), described.ftype(number)) for number, name in enumerate(names)]


def _only_result(driver: psycopg.Connection[Any]) -> PGresult:
    result: PGresult = driver.wait(generators.execute(driver.pgconn))[-1]
    if result.status == ExecStatus.FATAL_ERROR:
        raise psycopg.errors.error_from_result(result)
    return result


def _run_without_result(
    connection: sa.Connection, cursor: psycopg.Cursor[tuple[Any, ...]], query: bytes
) -> str:
    """Run a statement that has no columns, which PostgreSQL refuses if it writes; return what is wrong with others."""
    try:
        cursor.execute(query)
    except psycopg.ProgrammingError as error:
        if error.sqlstate is not None:
            raise
        connection.invalidate()  # it waits for the data of a COPY
        return "COPY is not supported here. Use --csv or --json."
    return (
        f"The statement has no rows to print ({cursor.statusmessage})."
        if cursor.statusmessage
        else "The statement is empty."
    )


@contextmanager
def _explained(connection: sa.Connection) -> Iterator[None]:
    """Turn an error of the server into a `StatementError`: its message with the position, and what to do."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate is None or error.sqlstate.startswith(("08", "57P")):
            connection.invalidate()  # lost: there is nothing to roll back
            raise
        if error.diag.source_function == "exec_parse_message" and error.sqlstate == "42601":
            raise StatementError(
                "There is more than one statement.",
                hint="Run them one by one, or all with `purchase-pipeline psql --file`.",
            ) from error
        hint = next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), "")
        raise StatementError("\n".join(filter(None, (str(error).rstrip(), hint)))) from error
