"""Existing tables, and the creation of missing ones."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.engine.interfaces import ReflectedColumn

from purchase_pipeline.postgres.errors import UnusableNameError
from purchase_pipeline.postgres.locks import Lock, lock_until_commit
from purchase_pipeline.postgres.schema.pending_types import is_pending, new_column
from purchase_pipeline.postgres.schema.types import ColumnType, NamedType

LONGEST_NAME = 63  # bytes: PostgreSQL silently truncates a longer name, so that two may collide


_TYPE_NAMES = """
    SELECT attname, format_type(atttypid, atttypmod) AS type_name FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""


def check_names(names: Iterable[str]) -> None:
    """Reject names that PostgreSQL would truncate, or cannot store.

    Raises:
        UnusableNameError: the first such name.
    """
    for name in names:
        size = len(name.encode(errors="replace"))
        if not name or "\x00" in name:
            raise UnusableNameError(
                f"{name!r} is not a valid name for a schema, table or column in PostgreSQL."
            )
        if size > LONGEST_NAME:
            raise UnusableNameError(
                f"{name!r} has {size} bytes; PostgreSQL truncates names after {LONGEST_NAME}. Shorten it."
            )


def inspector_of(connection: sa.Connection) -> sa.Inspector:
    """Return the inspector that caches this transaction's tables until `forget_tables`.

    The cache stays valid: nobody else alters a table that this transaction has locked or deleted from.
    """
    inspector: sa.Inspector = inspection_cache(connection)["inspector"]
    return inspector


def existing_table(connection: sa.Connection, schema: str, name: str) -> sa.Table | None:
    """Return the table as it exists, with its columns, defaults and comments; None if there is none."""
    try:
        with warnings.catch_warnings(action="ignore", category=sa.exc.SAWarning):  # for unknown types
            columns = inspector_of(connection).get_columns(name, schema=schema)
    except sa.exc.NoSuchTableError:
        return None
    tables: dict[tuple[str, str], sa.Table] = inspection_cache(connection)["tables"]
    if (schema, name) not in tables:
        if any(is_pending(column["type"]) for column in columns):
            columns = _with_named_types(connection, schema, name, columns)
        tables[schema, name] = _table(schema, name, columns)
    return tables[schema, name]


def table_clause(table: sa.Table) -> sa.TableClause:
    """Return the table as a clause for statements, which are compiled once for all with the same columns."""
    columns: list[sa.ColumnClause[Any]] = [sa.column(column.name, column.type) for column in table.columns]
    return sa.table(table.name, *columns, schema=table.schema)


def forget_tables(connection: sa.Connection) -> None:
    """Clear the cache of tables: this transaction has changed one."""
    connection.info.pop("looked_at", None)


def inspection_cache(connection: sa.Connection) -> dict[str, Any]:
    """Return the cache of this transaction's tables."""
    transaction, info = connection.get_transaction(), connection.info
    known: dict[str, Any] | None = info.get("looked_at")
    if known is None or transaction is None or known["in"] is not transaction:
        known = {"in": transaction, "inspector": sa.inspect(connection), "tables": {}, "facts": {}}
        info["looked_at"] = known
    return known


def _with_named_types(
    connection: sa.Connection, schema: str, name: str, columns: Iterable[ReflectedColumn]
) -> list[ReflectedColumn]:
    """Give columns of types that SQLAlchemy does not know, such as composites, the type's own name."""
    table = connection.dialect.identifier_preparer.format_table(sa.table(name, schema=schema))
    named = {row.attname: row.type_name for row in connection.exec_driver_sql(_TYPE_NAMES, (table,))}
    return [
        {**column, "type": NamedType(named[column["name"]])} if is_pending(column["type"]) else column
        for column in columns
    ]


def _table(schema: str, name: str, columns: Iterable[ReflectedColumn]) -> sa.Table:
    return sa.Table(
        name,
        sa.MetaData(schema=schema),
        *(
            sa.Column(
                column["name"],
                _without_create(column["type"]),
                *([sa.Identity()] if column.get("identity") else []),
                *([sa.Computed("")] if column.get("computed") else []),
                nullable=column["nullable"],
                server_default=None if column["default"] is None else sa.text(column["default"]),
                comment=column.get("comment"),
            )
            for column in columns
        ),
    )


def _without_create(column_type: ColumnType) -> ColumnType:
    """Return the type, marked so that SQLAlchemy does not create it again with a table that uses it."""
    element = getattr(column_type, "item_type", column_type)
    if isinstance(element, ENUM):
        element.create_type = False
    return column_type


def has_default(column: sa.Column[object]) -> bool:
    """Return whether PostgreSQL fills the column when no value is written."""
    return column.identity is not None or column.computed is not None or column.server_default is not None


def renamed(table: sa.Table, schema: str, name: str) -> sa.Table:
    """Return the declaration with another schema and name."""
    return table.to_metadata(sa.MetaData(), schema=schema, name=name)


def inferred_table(name: str, columns: Mapping[str, ColumnType]) -> sa.Table:
    """Return a declaration for inferred types, all nullable."""
    return sa.Table(name, sa.MetaData(), *(new_column(column, kind) for column, kind in columns.items()))


def with_keys(table: sa.Table, primary_key: Sequence[str], indexed: Sequence[str]) -> sa.Table:
    """Add the primary key, or an index on the partition's columns, unless the declaration has either.

    Without the index, replacing a partition would scan the whole table.
    """
    if not table.indexes and not table.primary_key.columns:
        if primary_key:
            table.append_constraint(sa.PrimaryKeyConstraint(*primary_key))
        elif indexed:
            sa.Index(None, *(table.columns[column] for column in indexed))
    return table


def create_if_missing(connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
    """Create missing tables and their schemas; concurrent writers create them once."""
    for table in tables:
        if inspector_of(connection).has_table(table.name, schema=table.schema):
            continue
        # IF NOT EXISTS still fails if two transactions create the same name at once.
        lock_until_commit(connection, Lock(("create", table.schema, table.name)))
        if table.schema is not None:
            create_schema_if_missing(connection, table.schema)
        table.create(connection, checkfirst=True)


def create_schema_if_missing(connection: sa.Connection, schema: str) -> None:
    """Create a missing schema; a role without the privilege can still use an existing one."""
    if not sa.inspect(connection).has_schema(schema):
        lock_until_commit(connection, Lock(("create", schema)))
        connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
