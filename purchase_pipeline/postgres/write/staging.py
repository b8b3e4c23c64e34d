"""Staging tables: rows are written there first, then moved or merged by PostgreSQL."""

from collections.abc import Collection, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from purchase_pipeline.postgres.database_errors import server_message
from purchase_pipeline.postgres.errors import UnstorableValueError
from purchase_pipeline.postgres.schema.table_errors import table_error
from purchase_pipeline.postgres.statements import Name, execute

_NAME = "staged rows"  # unlikely in a query: a temporary table hides others of its name
_REFUSALS = ("428C9", "54000")  # SQLSTATEs: a value for a generated identity, a size limit


def staging_table(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[sa.Column[Any]],
    *,
    nullable: Collection[str] = (),
) -> sa.Table:
    """Create a temporary table. Drop it after use: the transaction may create it again.

    Columns of the table keep their exact types and collations; a column without a table is yet to be added. Those in
    `nullable` accept NULL even if the table does not.
    """
    staged = sa.Table(_NAME, sa.MetaData(), *(sa.Column(column.name, column.type) for column in columns))
    execute(
        connection,
        "CREATE TEMPORARY TABLE {staged} ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA",
        staged=_NAME,
        columns=sql.SQL(", ").join(_selected(connection, column) for column in columns),
        table=Name(table.schema or "public", table.name),
    )
    required = [column.name for column in columns if not (column.nullable or column.name in nullable)]
    if required:
        not_null = sql.SQL(", ").join(
            sql.SQL("ALTER {} SET NOT NULL").format(sql.Identifier(name)) for name in required
        )
        execute(connection, "ALTER TABLE {staged} {not_null}", staged=_NAME, not_null=not_null)
    return staged


def _selected(connection: sa.Connection, column: sa.Column[Any]) -> sql.Composable:
    name = sql.Identifier(column.name)
    if column.table is not None:
        return name
    new_type = sql.SQL(column.type.compile(connection.dialect))
    return sql.SQL("CAST(NULL AS {}) AS {}").format(new_type, name)


def insert_query(
    connection: sa.Connection, table: sa.Table, names: Sequence[str], query: sa.SelectBase
) -> int:
    """Insert a query's rows into the table, and return their number.

    Raises:
        UnstorableValueError: a column or constraint of the table rejects a row.
    """
    return write_rows(connection, untyped(table, names).insert().from_select(names, query), table)


def insert_staged(connection: sa.Connection, staged: sa.Table, table: sa.Table) -> int:
    """Move the rows into the table, and return the number stored.

    Raises:
        UnstorableValueError: a constraint of the table rejects a row.
    """
    names = [column.name for column in staged.columns]
    return insert_query(connection, table, names, sa.select(staged))


def write_rows(connection: sa.Connection, statement: sa.Executable, table: sa.FromClause) -> int:
    """Execute a statement that writes rows, and return their number.

    Raises:
        UnstorableValueError: a column or constraint of the table rejects a row.
    """
    try:
        return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount
    except sa.exc.DBAPIError as error:
        cause = error.orig
        if isinstance(cause, psycopg.errors.IntegrityError | psycopg.errors.DataError):
            raise UnstorableValueError(
                str(table), None, cause.diag.column_name, server_message(cause)
            ) from error
        if not isinstance(cause, psycopg.Error) or cause.sqlstate not in _REFUSALS:
            raise
        raise table_error(connection, table, cause) from error


def untyped(table: sa.Table, names: Sequence[str]) -> sa.TableClause:
    """Return an untyped table clause: compiled once for all with the same columns, and accepted with any types."""
    return sa.table(table.name, *(sa.column(name) for name in names), schema=table.schema)
