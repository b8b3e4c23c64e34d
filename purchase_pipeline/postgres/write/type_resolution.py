"""Resolution of pending types: one writer sets a column's type, and the others continue from there.

ALTER TABLE waits for all other writers. Writers of several partitions that had each deleted rows would deadlock. So a
writer that must set a type rolls back its deletion, which releases the table, waits for its turn, and deletes again in
the table as it is then.
"""

from dataclasses import replace

import sqlalchemy as sa

from purchase_pipeline.postgres.locks import Lock, lock_until_commit
from purchase_pipeline.postgres.schema.pending_types import has_pending_type
from purchase_pipeline.postgres.schema.tables import existing_table, forget_tables
from purchase_pipeline.postgres.slices.slice import Slice

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


def resolve_alone(part: Slice) -> Slice:
    """Wait for other writers that set a type; return the slice of the current table, with its rows deleted."""
    savepoint: sa.NestedTransaction | None = part.table.info.get(_SAVEPOINT)
    if savepoint is not None:
        savepoint.rollback()
    schema, name = part.bounds.schema, part.bounds.table
    lock_until_commit(part.connection, Lock(("settle", schema, name)))
    forget_tables(part.connection)
    table = existing_table(part.connection, schema, name)
    if table is None:
        raise LookupError(f"Table {part.table} was dropped during the write.")
    current = replace(part, table=table)
    if savepoint is not None:
        current.delete()
    return current
