"""Errors of PostgreSQL, translated: which table they concern, and what to do about them.

A value that a column rejects is reported by the code that writes it, which knows the row. Outages (a lost connection, a
deadlock, a full disk) are left as they are inside a transaction, and reported once it has ended.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard, TypeVar

import psycopg
import sqlalchemy as sa

from purchase_pipeline.postgres.errors import DatabaseOutageError, DatabaseRefusalError, printable

Item = TypeVar("Item")

_REFERENCED = (
    "Write or delete the rows of the other table first, in the order that the foreign key requires. With ON DELETE "
    "CASCADE, rows that reference replaced rows are deleted with them"
)
_WHAT_TO_DO = {
    "23001": _REFERENCED,
    "23503": _REFERENCED,
    "23": "The rows together violate a constraint of the table: change the data, or the constraint",
    "25006": "Write to the primary server: this one is a standby or read-only",
    "42501": "Row security blocks this, or only the table's owner may do it. As the owner, give the role a "
    "policy that lets it write, or ownership of the table",
    "42809": "Only a table can be written: rename the object of that name, or give the asset another name or schema. A "
    "view needs INSTEAD OF triggers for INSERT and DELETE",
    "44000": "The view's WITH CHECK OPTION rejects such rows: change the data, or write to the table itself",
    "54000": "A value is too large for an index of the table: drop the index, or shorten the value",
    "55000": "Only a table can be written: rename the object of that name, or give the asset another name or schema",
    "55P03": "Another transaction has held its lock for longer than lock_timeout (see pg_stat_activity): try "
    "again when it has ended",
    "P0001": "A trigger or function raised this: change the data, or the trigger",
    "0A000": "The object of that name does not support this: give the asset another name or schema. Under row "
    "security, COPY needs a role with BYPASSRLS; a query as the asset's value works for every role",
}
"""By SQLSTATE or its class (PostgreSQL documentation, appendix A)."""

_OUTAGES = {
    "08": "Check that the server is running, and the database's URL",
    "40": "Another transaction was in the way: run it again",
    "53100": "Free disk space on the server",
    "53": "The server has run out of connections, memory or disk space",
    "57": "The server canceled the statement, is shutting down or is starting",
    "58": "The server's operating system reported the error: see the server's log",
}
_TRANSIENT = ("25006", "55P03")  # a standby may become the primary, and locks are released
_ELSEWHERE = "from_elsewhere"
_DENIED = re.compile(r"permission denied for (\w+ ?\w*) (\S+)$")
_RIGHTS = {
    "schema": "USAGE, CREATE ON SCHEMA {name}",
    "database": "CREATE, TEMPORARY ON DATABASE {name}",
    "sequence": "USAGE ON SEQUENCE {name}",
    "function": "EXECUTE ON FUNCTION {name}",
    "type": "USAGE ON TYPE {name}",
}
_TABLE_RIGHTS = "SELECT, INSERT, DELETE ON {name} (for an upsert, UPDATE too)"


@contextmanager
def database_errors(table: str, partition: str) -> Iterator[None]:
    """Translate PostgreSQL's errors, naming the table and partition that were being written.

    Raises:
        DatabaseRefusalError: PostgreSQL does not allow the operation, or not now.
    """
    try:
        yield
    except (sa.exc.DBAPIError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        if hasattr(error, _ELSEWHERE) or not has_sqlstate(cause, *_WHAT_TO_DO):
            raise
        raise refusal_error(cause, table, f", {printable(partition)}", _hint(cause)) from error


def outage_error(error: sa.exc.DBAPIError | psycopg.Error) -> DatabaseOutageError | None:
    """Return the error of an outage, with what to do; None if the statement is at fault, not the server."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None:  # the connection itself
        message, code = f"The database is unavailable: {_one_line(cause)}", "08"
    elif has_sqlstate(cause, *_OUTAGES):
        code = cause.sqlstate or ""
        message = f"The database reported an error: {server_message(cause)} (SQLSTATE {code})"
    else:
        return None
    hint = _OUTAGES.get(code) or _OUTAGES[code[:2]]
    return DatabaseOutageError(f"{message}.", hint=f"{hint}.", sqlstate=cause.sqlstate)


def _one_line(error: psycopg.Error) -> str:
    return printable(" ".join(str(error).split()).rstrip("."))


def refusal_error(
    error: psycopg.Error, table: str, location: str, hint: str, column: str | None = None
) -> DatabaseRefusalError:
    """Return the error with PostgreSQL's message, the location in the table, and what to do."""
    remedy = f" {hint}." if hint else ""
    return DatabaseRefusalError(
        f"table {table}{location}: {server_message(error)} (SQLSTATE {error.sqlstate}). Nothing was changed.{remedy}",
        table=table,
        column=column or error.diag.column_name,
        sqlstate=error.sqlstate,
        transient=error.sqlstate in _TRANSIENT,
    )


def from_source(items: Iterator[Item]) -> Iterator[Item]:
    """Yield items and mark their database errors: the source may be another database than the table's."""
    try:
        yield from items
    except (sa.exc.DBAPIError, psycopg.Error) as error:
        setattr(error, _ELSEWHERE, True)
        raise


def has_sqlstate(error: BaseException | None, *codes: str) -> TypeGuard[psycopg.Error]:
    """Return whether the error has one of these SQLSTATEs or classes.

    Class 42 does not include a missing privilege (42501), which must be named.
    """
    if not isinstance(error, psycopg.Error) or error.sqlstate is None:
        return False
    return error.sqlstate in codes or (error.sqlstate != "42501" and error.sqlstate[:2] in codes)


def server_message(error: psycopg.Error) -> str:
    """Return PostgreSQL's message and detail on one line."""
    messages = (error.diag.message_primary, error.diag.message_detail)
    return printable(" ".join(filter(None, messages)) or str(error))


def _hint(error: psycopg.Error) -> str:
    denied = _DENIED.search(error.diag.message_primary or "")
    if denied:
        rights = _RIGHTS.get(denied[1], _TABLE_RIGHTS).format(name=denied[2])
        return f"As its owner: GRANT {rights} TO the role of the database's URL"
    code = error.sqlstate or ""
    return _WHAT_TO_DO.get(code, _WHAT_TO_DO.get(code[:2], ""))
