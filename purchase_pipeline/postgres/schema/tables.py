"""Tables as they stand in the database, and their creation."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine.interfaces import ReflectedColumn

from purchase_pipeline.postgres.errors import UnusableNameError
from purchase_pipeline.postgres.locks import Lock, hold_until_commit
from purchase_pipeline.postgres.schema.types import TEXT, ColumnType, family

LONGEST_NAME = 63  # bytes: PostgreSQL cuts a longer name without an error, so that two of them may meet


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
    inspector: sa.Inspector = _looked_at(connection)["inspector"]
    return inspector


def existing_table(connection: sa.Connection, schema: str, name: str) -> sa.Table | None:
    """Return the table as it stands: its columns, what fills them by itself, their comments. None if there is none."""
    try:
        columns = inspector_of(connection).get_columns(name, schema=schema)
    except sa.exc.NoSuchTableError:
        return None
    tables: dict[tuple[str, str], sa.Table] = _looked_at(connection)["tables"]
    if (schema, name) not in tables:
        tables[schema, name] = _table(schema, name, columns)
    return tables[schema, name]


def forget_tables(connection: sa.Connection) -> None:
    """Forget the tables that this transaction has looked at: it has changed one."""
    connection.info.pop("looked_at", None)


def _looked_at(connection: sa.Connection) -> dict[str, Any]:
    transaction, info = connection.get_transaction(), connection.info
    known: dict[str, Any] | None = info.get("looked_at")
    if known is None or transaction is None or known["in"] is not transaction:
        known = {"in": transaction, "inspector": sa.inspect(connection), "tables": {}}
        info["looked_at"] = known
    return known


def _table(schema: str, name: str, columns: Iterable[ReflectedColumn]) -> sa.Table:
    return sa.Table(
        name,
        sa.MetaData(schema=schema),
        *(
            sa.Column(
                column["name"],
                column["type"],
                *([sa.Identity()] if column.get("identity") else []),
                *([sa.Computed("")] if column.get("computed") else []),
                nullable=column["nullable"],
                server_default=None if column["default"] is None else sa.text(column["default"]),
                comment=column.get("comment"),
            )
            for column in columns
        ),
    )


def fills_itself(column: sa.Column[object]) -> bool:
    """Return whether PostgreSQL gives the column a value when none is written."""
    return column.identity is not None or column.computed is not None or column.server_default is not None


def placed(table: sa.Table, schema: str, name: str) -> sa.Table:
    """Return the same declaration under another schema and name."""
    return table.to_metadata(sa.MetaData(), schema=schema, name=name)


def concrete(column_type: ColumnType) -> ColumnType:
    """Return the type that a new column has: TEXT where no value told another."""
    if family(column_type) == "array":
        return ARRAY(concrete(column_type.item_type))  # type: ignore[attr-defined]
    return TEXT if family(column_type) == "unknown" else column_type


def inferred_table(name: str, columns: Mapping[str, ColumnType]) -> sa.Table:
    """Return a declaration that allows NULL everywhere, for what was inferred from values."""
    return sa.Table(
        name, sa.MetaData(), *(sa.Column(column, concrete(kind)) for column, kind in columns.items())
    )


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
        hold_until_commit(connection, Lock(("create", table.schema, table.name)))
        if table.schema is not None:
            create_schema_if_missing(connection, table.schema)
        table.create(connection, checkfirst=True)


def create_schema_if_missing(connection: sa.Connection, schema: str) -> None:
    """Create a schema that does not exist; a role that may not create schemas can use one that does."""
    if not sa.inspect(connection).has_schema(schema):
        hold_until_commit(connection, Lock(("create", schema)))
        connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
