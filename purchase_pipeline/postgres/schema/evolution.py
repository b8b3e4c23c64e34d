"""Schema evolution: add and retype a table's columns."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from purchase_pipeline.postgres.errors import SchemaDriftError
from purchase_pipeline.postgres.schema.drift import NOTHING_CHANGED
from purchase_pipeline.postgres.schema.pending_types import has_pending_type, has_values
from purchase_pipeline.postgres.schema.table_errors import table_errors
from purchase_pipeline.postgres.schema.tables import forget_tables
from purchase_pipeline.postgres.schema.types import ColumnType, family, sql
from purchase_pipeline.postgres.schema.widening import widened


def evolve(connection: sa.Connection, table: sa.Table, columns: Mapping[str, sa.Column[Any]]) -> None:
    """Add missing columns and retype existing ones, inside the connection's transaction.

    Raises:
        SchemaDriftError: a column whose type was pending has values by now.
        DatabaseRefusalError: PostgreSQL rejects a change.
    """
    operations = Operations(MigrationContext.configure(connection))
    for name, column in columns.items():
        with table_errors(connection, table, name):
            if name in table.columns:
                _retype(operations, table.columns[name], column)
            else:
                operations.add_column(table.name, column, schema=table.schema)
    forget_tables(connection)


def _retype(operations: Operations, old: sa.Column[Any], new: sa.Column[Any]) -> None:
    """Change a column's type, without loss or where no values exist."""
    table, connection = old.table, operations.get_bind()
    if sql(old.type) != sql(new.type):
        if has_pending_type(old):
            _require_no_values(connection, old, new.type)
        using = None if widened(old.type, new.type) is not None else _using(connection, old, new.type)
        operations.alter_column(
            table.name, old.name, type_=new.type, schema=table.schema, postgresql_using=using
        )
    if old.comment != new.comment:
        operations.alter_column(table.name, old.name, comment=new.comment, schema=table.schema)


def _require_no_values(connection: sa.Connection, old: sa.Column[Any], new_type: ColumnType) -> None:
    if connection.scalar(sa.select(sa.exists().where(has_values(old, new_type)))):
        difference = f"column {old.name!r} is {sql(old.type)} in the table, but {sql(new_type)} in the data"
        raise SchemaDriftError(str(old.table), [difference], f"{NOTHING_CHANGED}.")


def _using(connection: sa.Connection, old: sa.Column[Any], new_type: ColumnType) -> str:
    """Return the USING expression. If rows exist after all, it keeps their values or fails."""
    name = connection.dialect.identifier_preparer.quote(old.name)
    return (
        f"to_jsonb({name})"
        if family(new_type) == "json"
        else f"{name}::text::{new_type.compile(connection.dialect)}"
    )
