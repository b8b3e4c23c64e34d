"""What PostgreSQL refuses, in the library's own words: what it said of which table, and what to do about it.

A value that a column refuses is told by who writes it, who knows the row. What is nobody's fault stays as it is, worth
another try: a lost connection, a deadlock, a full disk.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard, TypeVar

import psycopg
import sqlalchemy as sa

from purchase_pipeline.postgres.errors import DatabaseRefusalError, printable

Item = TypeVar("Item")

_REFERENCED = (
    "Write or delete the rows of the other table first, in the order that the foreign key asks for. With ON DELETE "
    "CASCADE, the rows that refer to replaced ones would be deleted with them"
)
_WHAT_TO_DO = {
    "23001": _REFERENCED,
    "23503": _REFERENCED,
    "23": "The rows as a whole are not what a constraint of the table asks for: change the data, or the constraint",
    "25006": "Write to the primary server: this one is a standby, or reads only",
    "42501": "Row security of the table is in the way, or its owner alone may do this: as its owner, give the role a "
    "policy that lets it write, or the table itself",
    "42809": "Only a table can be written: rename what has its name, or give the asset another name or schema. A view "
    "takes rows by an INSTEAD OF INSERT trigger, and has them deleted by one for DELETE",
    "44000": "The view's WITH CHECK OPTION keeps such rows out: change the data, or write to the table itself",
    "54000": "A value is too large for an index of the table: drop the index, or shorten the value",
    "55000": "Only a table can be written: rename what has its name, or give the asset another name or schema",
    "55P03": "Another transaction has kept its lock for longer than lock_timeout (pg_stat_activity shows it): try "
    "again when it has ended",
    "P0001": "A trigger or a function says so: change the data, or the trigger",
    "0A000": "What has the table's name cannot do this: give the asset another name or schema. Under row security, "
    "COPY is for roles with BYPASSRLS, and a query as the asset's value for all",
}
"""By SQLSTATE, or its class: PostgreSQL's documentation, appendix A."""

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
    """Say what PostgreSQL refuses in the library's own words, and which partition of the table was meant.

    Raises:
        DatabaseRefusalError: it does not let the role do this, or not now.
    """
    try:
        yield
    except (sa.exc.DBAPIError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        if hasattr(error, _ELSEWHERE) or not has_sqlstate(cause, *_WHAT_TO_DO):
            raise
        raise refusal_error(cause, table, f", {printable(partition)}", _hint(cause)) from error


def refusal_error(
    error: psycopg.Error, table: str, place: str, hint: str, column: str | None = None
) -> DatabaseRefusalError:
    """Return the error that tells what PostgreSQL refuses, where in the table, and what to do."""
    remedy = f" {hint}." if hint else ""
    return DatabaseRefusalError(
        f"table {table}{place}: {server_message(error)} (SQLSTATE {error.sqlstate}). Nothing was changed.{remedy}",
        table=table,
        column=column or error.diag.column_name,
        sqlstate=error.sqlstate,
    )


def from_source(items: Iterator[Item]) -> Iterator[Item]:
    """Yield items whose source may be a database, too: what it refuses is not said of the table that is written."""
    try:
        yield from items
    except (sa.exc.DBAPIError, psycopg.Error) as error:
        setattr(error, _ELSEWHERE, True)
        raise


def has_sqlstate(error: BaseException | None, *codes: str) -> TypeGuard[psycopg.Error]:
    """Tell whether it is PostgreSQL's, with one of these SQLSTATEs or classes, and no missing right that class 42 has.

    A right that is missing is meant where its own code is named.
    """
    if not isinstance(error, psycopg.Error) or error.sqlstate is None:
        return False
    return error.sqlstate in codes or (error.sqlstate != "42501" and error.sqlstate[:2] in codes)


def server_message(error: psycopg.Error) -> str:
    """Return what PostgreSQL says of what it refuses, in one line."""
    said = (error.diag.message_primary, error.diag.message_detail)
    return printable(" ".join(filter(None, said)) or str(error))


def _hint(error: psycopg.Error) -> str:
    denied = _DENIED.search(error.diag.message_primary or "")
    if denied:
        rights = _RIGHTS.get(denied[1], _TABLE_RIGHTS).format(name=denied[2])
        return f"As its owner: GRANT {rights} TO the role of the database's URL"
    code = error.sqlstate or ""
    return _WHAT_TO_DO.get(code, _WHAT_TO_DO.get(code[:2], ""))
