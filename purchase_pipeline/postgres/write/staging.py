"""Rows beside their table: written there first, then moved or merged by PostgreSQL itself."""

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from purchase_pipeline.postgres.errors import UnstorableValueError, UnusableMetadataError
from purchase_pipeline.postgres.schema.types import shown
from purchase_pipeline.postgres.write.copy import words_of
from purchase_pipeline.postgres.write.refusals import refusal

_NAME = "staged_rows"
_REFUSALS = (
    "42501",
    "428C9",
    "54000",
)  # SQLSTATEs: a right that is missing, a value for a key of PostgreSQL's own, a size


def staging_table(connection: sa.Connection, columns: Iterable[sa.Column[Any]]) -> sa.Table:
    """Create a table that only this transaction sees, and that ends with it."""
    table = sa.Table(
        _NAME,
        sa.MetaData(),
        *(sa.Column(column.name, column.type, nullable=column.nullable) for column in columns),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )
    table.create(connection, checkfirst=False)
    return table


def insert_query(
    connection: sa.Connection, table: sa.Table, names: Sequence[str], query: sa.SelectBase
) -> int:
    """Let PostgreSQL write a query's rows into the table, and return how many.

    Raises:
        UnstorableValueError: a row that the table's columns or constraints refuse.
    """
    return _execute(connection, _reflected(table, names).insert().from_select(names, query), table)


def insert_staged(connection: sa.Connection, staged: sa.Table, table: sa.Table) -> int:
    """Move the rows into the table, and return how many PostgreSQL says it took.

    Raises:
        UnstorableValueError: a row that the table's constraints refuse.
    """
    names = [column.name for column in staged.columns]
    return insert_query(connection, table, names, sa.select(staged))


def upsert_staged(connection: sa.Connection, staged: sa.Table, table: sa.Table, keys: Sequence[str]) -> int:
    """Merge the rows into the table: those whose keys are there already take the new values.

    Return how many PostgreSQL says it took; rows that are there already and need no update may be left out.

    Raises:
        UnusableMetadataError: keys that no unique index of the table has.
        UnstorableValueError: two staged rows of the same keys, or a row that the table's constraints refuse.
    """
    names = [column.name for column in staged.columns]
    missing = [key for key in keys if key not in names]
    if missing:
        raise UnusableMetadataError(f"upsert_keys {missing!r} are no columns of the data: {names!r}.")
    _refuse_doubles(connection, staged, table, keys)
    new = insert(_reflected(table, names)).from_select(names, sa.select(staged))
    others = {name: new.excluded[name] for name in names if name not in keys}
    merged = (
        new.on_conflict_do_update(index_elements=keys, set_=others)
        if others
        else new.on_conflict_do_nothing(index_elements=keys)
    )
    try:
        return _execute(connection, merged, table)
    except sa.exc.ProgrammingError as error:
        if not isinstance(error.orig, psycopg.errors.InvalidColumnReference):
            raise
        raise UnusableMetadataError(
            f"Table {table} has no unique index on upsert_keys {list(keys)!r}: "
            f"ALTER TABLE {table} ADD UNIQUE ({', '.join(keys)})."
        ) from error


def _refuse_doubles(
    connection: sa.Connection, staged: sa.Table, table: sa.Table, keys: Sequence[str]
) -> None:
    columns = [staged.columns[key] for key in keys]
    several = sa.func.count() > 1
    double = connection.execute(sa.select(*columns).group_by(*columns).having(several).limit(1)).first()
    if double is not None:
        raise UnstorableValueError(
            str(table), None, None, f"several rows have {', '.join(keys)} = {shown(tuple(double))}"
        )


def _reflected(table: sa.Table, names: Sequence[str]) -> sa.TableClause:
    return sa.table(table.name, *(sa.column(name) for name in names), schema=table.schema)


def _execute(connection: sa.Connection, statement: sa.Executable, table: sa.Table) -> int:
    try:
        return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount
    except sa.exc.DBAPIError as error:
        cause = error.orig
        if isinstance(cause, psycopg.errors.IntegrityError | psycopg.errors.DataError):
            raise UnstorableValueError(str(table), None, cause.diag.column_name, words_of(cause)) from error
        if not isinstance(cause, psycopg.Error) or cause.sqlstate not in _REFUSALS:
            raise
        raise refusal(connection, table, cause) from error
