"""The first values of a column without a type: one writer alone settles it, and the others go on from there.

A table that changes waits until nobody else is at work on it. Writers of several partitions that each had deleted their
rows, and waited for the others, would wait for ever. So who is to settle a type takes its deletion back, which lets go
of the table; waits its turn; and deletes again, in the table as it is by then.
"""

import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import TableSlice
from purchase_pipeline.postgres.locks import Lock, lock_until_commit
from purchase_pipeline.postgres.schema.pending_types import has_pending_type
from purchase_pipeline.postgres.schema.tables import existing_table, forget_tables
from purchase_pipeline.postgres.slices.deletion import delete_slice

_SAVEPOINT = "uncleared"


def savepoint_before_delete(connection: sa.Connection, table: sa.Table) -> None:
    """Set a savepoint before a slice is cleared, if the data may turn out to settle a type."""
    if any(map(has_pending_type, table.columns)):
        table.info[_SAVEPOINT] = connection.begin_nested()


def release_savepoint(table: sa.Table) -> None:
    """Let go of the savepoint: no type is to be settled, and the rows are to be this transaction's own."""
    savepoint: sa.NestedTransaction | None = table.info.pop(_SAVEPOINT, None)
    if savepoint is not None:
        savepoint.commit()


def resolve_alone(connection: sa.Connection, table: sa.Table, table_slice: TableSlice) -> sa.Table:
    """Wait until no other writer settles a type of the table; return it as it is by then, with the slice cleared."""
    savepoint: sa.NestedTransaction | None = table.info.get(_SAVEPOINT)
    if savepoint is not None:
        savepoint.rollback()
    lock_until_commit(connection, Lock(("settle", table_slice.schema, table_slice.table)))
    forget_tables(connection)
    current = existing_table(connection, table_slice.schema, table_slice.table)
    if current is None:
        raise LookupError(f"Table {table} was dropped while its slice was written.")
    if savepoint is not None:
        delete_slice(connection, current, table_slice)
    return current
