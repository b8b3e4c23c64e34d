"""Tables as they stand in the database, and their creation."""

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

LONGEST_NAME = 63  # bytes: PostgreSQL cuts a longer name without an error, so that two of them may meet


_TYPE_NAMES = """
    SELECT attname, format_type(atttypid, atttypmod) AS type_name FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""


def check_names(names: Iterable[str]) -> None:
    """Refuse names that PostgreSQL would cut, or cannot hold.

    Raises:
        UnusableNameError: the first such name.
    """
    for name in names:
        size = len(name.encode(errors="replace"))
        if not name or "\x00" in name:
            raise UnusableNameError(f"{name!r} cannot name a schema, table or column in PostgreSQL.")
        if size > LONGEST_NAME:
            raise UnusableNameError(
                f"{name!r} has {size} bytes, and a PostgreSQL name {LONGEST_NAME} at most: the rest would be cut off."
            )


def inspector_of(connection: sa.Connection) -> sa.Inspector:
    """Return what remembers the tables that this transaction has looked at, until `forget_tables`.

    Nobody else changes a table that this transaction has deleted from, or holds the lock of.
    """
    inspector: sa.Inspector = inspection_cache(connection)["inspector"]
    return inspector


def existing_table(connection: sa.Connection, schema: str, name: str) -> sa.Table | None:
    """Return the table as it stands: its columns, what fills them by itself, their comments. None if there is none."""
    try:
        with warnings.catch_warnings(
            action="ignore", category=sa.exc.SAWarning
        ):  # of types that it does not know
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
    """Return the table as statements that only name it have it: they are compiled once for all that look the same."""
    columns: list[sa.ColumnClause[Any]] = [sa.column(column.name, column.type) for column in table.columns]
    return sa.table(table.name, *columns, schema=table.schema)


def forget_tables(connection: sa.Connection) -> None:
    """Forget the tables that this transaction has looked at: it has changed one."""
    connection.info.pop("looked_at", None)


def inspection_cache(connection: sa.Connection) -> dict[str, Any]:
    """Return what is known of the tables that this transaction has looked at."""
    transaction, info = connection.get_transaction(), connection.info
    known: dict[str, Any] | None = info.get("looked_at")
    if known is None or transaction is None or known["in"] is not transaction:
        known = {"in": transaction, "inspector": sa.inspect(connection), "tables": {}, "facts": {}}
        info["looked_at"] = known
    return known


def _with_named_types(
    connection: sa.Connection, schema: str, name: str, columns: Iterable[ReflectedColumn]
) -> list[ReflectedColumn]:
    """Give the columns whose type SQLAlchemy does not know, such as a composite one, the type's own name."""
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
    """Return the type, and keep SQLAlchemy from creating it once more with a table of its columns."""
    element = getattr(column_type, "item_type", column_type)
    if isinstance(element, ENUM):
        element.create_type = False
    return column_type


def has_default(column: sa.Column[object]) -> bool:
    """Return whether PostgreSQL gives the column a value when none is written."""
    return column.identity is not None or column.computed is not None or column.server_default is not None


def renamed(table: sa.Table, schema: str, name: str) -> sa.Table:
    """Return the same declaration under another schema and name."""
    return table.to_metadata(sa.MetaData(), schema=schema, name=name)


def inferred_table(name: str, columns: Mapping[str, ColumnType]) -> sa.Table:
    """Return a declaration that allows NULL everywhere, for what was inferred from values."""
    return sa.Table(name, sa.MetaData(), *(new_column(column, kind) for column, kind in columns.items()))


def with_keys(table: sa.Table, primary_key: Sequence[str], indexed: Sequence[str]) -> sa.Table:
    """Give a declaration that says nothing of keys or indexes the primary key, or an index on the columns.

    The index is for those that partitions are cut by: without it, replacing a partition would read the whole table.
    """
    if not table.indexes and not table.primary_key.columns:
        if primary_key:
            table.append_constraint(sa.PrimaryKeyConstraint(*primary_key))
        elif indexed:
            sa.Index(None, *(table.columns[column] for column in indexed))
    return table


def create_if_missing(connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
    """Create the tables, and their schemas, that do not exist; two writers at once create them once."""
    for table in tables:
        if inspector_of(connection).has_table(table.name, schema=table.schema):
            continue
        # IF NOT EXISTS alone still fails when two transactions create the same name at once.
        lock_until_commit(connection, Lock(("create", table.schema, table.name)))
        if table.schema is not None:
            create_schema_if_missing(connection, table.schema)
        table.create(connection, checkfirst=True)


def create_schema_if_missing(connection: sa.Connection, schema: str) -> None:
    """Create a schema that does not exist; a role that may not create schemas can use one that does."""
    if not sa.inspect(connection).has_schema(schema):
        lock_until_commit(connection, Lock(("create", schema)))
        connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
