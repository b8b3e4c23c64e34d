"""Rows beside their table: written there first, then moved or merged by PostgreSQL itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import insert

from purchase_pipeline.postgres.errors import UnstorableValueError, UnusableMetadataError
from purchase_pipeline.postgres.schema.types import POSTGRESQL, shown
from purchase_pipeline.postgres.statements import execute
from purchase_pipeline.postgres.write.copy import words_of

_NAME = "staged_rows"


def staging_table(
    connection: sa.Connection, table: sa.Table, names: Sequence[str], changes: Mapping[str, sa.Column[Any]]
) -> sa.Table:
    """Create a table of some of another one's columns, as they are or will be, that ends with this transaction.

    PostgreSQL itself says what they are: SQLAlchemy has no words for each type, and none for collations.
    """
    columns = [changes[name] if name in changes else table.columns[name] for name in names]
    listed = [_staged_column(column, changed=column.name in changes) for column in columns]
    execute(
        connection,
        "CREATE TEMPORARY TABLE {staged} ON COMMIT DROP AS SELECT {listed} FROM {table} WITH NO DATA",
        staged=_NAME,
        listed=sql.SQL(", ").join(listed),
        table=sql.Identifier(*filter(None, (table.schema, table.name))),
    )
    for column in columns:
        if not column.nullable:
            execute(
                connection, "ALTER TABLE {staged} ALTER {name} SET NOT NULL", staged=_NAME, name=column.name
            )
    return sa.Table(_NAME, sa.MetaData(), *(sa.Column(column.name, column.type) for column in columns))


def _staged_column(column: sa.Column[Any], *, changed: bool) -> sql.Composable:
    name = sql.Identifier(column.name)
    if not changed:
        return name
    kind = column.type.compile(POSTGRESQL)
    return sql.SQL("CAST(NULL AS {}) AS {}").format(sql.SQL(kind), name)


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
    except (sa.exc.IntegrityError, sa.exc.DataError) as error:
        if not isinstance(error.orig, psycopg.Error):
            raise
        raise UnstorableValueError(
            str(table), None, error.orig.diag.column_name, words_of(error.orig)
        ) from error
