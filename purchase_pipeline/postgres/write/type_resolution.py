"""Resolution of pending types: one writer sets a column's type, and the others continue from there.

ALTER TABLE waits for all other writers. Writers of several partitions that had each deleted rows would deadlock. So a
writer that must set a type rolls back its deletion, which releases the table, waits for its turn, and deletes again in
the table as it is then.
"""

import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import TableSlice
from purchase_pipeline.postgres.locks import Lock, lock_until_commit
from purchase_pipeline.postgres.schema.pending_types import has_pending_type
from purchase_pipeline.postgres.schema.tables import existing_table, forget_tables
from purchase_pipeline.postgres.slices.deletion import delete_slice

_SAVEPOINT = "uncleared"


def savepoint_before_delete(connection: sa.Connection, table: sa.Table) -> None:
    """Set a savepoint before the deletion, if the data may set a pending type."""
    if any(map(has_pending_type, table.columns)):
        table.info[_SAVEPOINT] = connection.begin_nested()


def release_savepoint(table: sa.Table) -> None:
    """Release the savepoint: no type will be set."""
    savepoint: sa.NestedTransaction | None = table.info.pop(_SAVEPOINT, None)
    if savepoint is not None:
        savepoint.commit()


def resolve_alone(connection: sa.Connection, table: sa.Table, table_slice: TableSlice) -> sa.Table:
    """Wait for other writers that set a type; return the current table, with the slice deleted."""
    savepoint: sa.NestedTransaction | None = table.info.get(_SAVEPOINT)
    if savepoint is not None:
        savepoint.rollback()
    lock_until_commit(connection, Lock(("settle", table_slice.schema, table_slice.table)))
    forget_tables(connection)
    current = existing_table(connection, table_slice.schema, table_slice.table)
    if current is None:
        raise LookupError(f"Table {table} was dropped during the write.")
    if savepoint is not None:
        delete_slice(connection, current, table_slice)
    return current
