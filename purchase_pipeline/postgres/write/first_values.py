"""The first values of a column without a type: one writer alone settles it, and the others go on from there.

A table that changes waits until nobody else is at work on it. Writers of several partitions that each had deleted their
rows, and waited for the others, would wait for ever. So who is to settle a type takes its deletion back, which lets go
of the table; waits its turn; and deletes again, in the table as it is by then.
"""

import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import TableSlice
from purchase_pipeline.postgres.locks import Lock, hold_until_commit
from purchase_pipeline.postgres.schema.tables import existing_table, forget_tables
from purchase_pipeline.postgres.schema.untyped import is_untyped
from purchase_pipeline.postgres.slices.clearing import clear_slice

_UNCLEARED = "uncleared"


def remember_uncleared(connection: sa.Connection, table: sa.Table) -> None:
    """Set a savepoint before a slice is cleared, if the data may turn out to settle a type."""
    if any(map(is_untyped, table.columns)):
        table.info[_UNCLEARED] = connection.begin_nested()


def keep_cleared(table: sa.Table) -> None:
    """Let go of the savepoint: no type is to be settled, and the rows are to be this transaction's own."""
    uncleared: sa.NestedTransaction | None = table.info.pop(_UNCLEARED, None)
    if uncleared is not None:
        uncleared.commit()


def settled_alone(connection: sa.Connection, table: sa.Table, table_slice: TableSlice) -> sa.Table:
    """Wait until no other writer settles a type of the table; return it as it is by then, with the slice cleared."""
    uncleared: sa.NestedTransaction | None = table.info.get(_UNCLEARED)
    if uncleared is not None:
        uncleared.rollback()
    hold_until_commit(connection, Lock(("settle", table_slice.schema, table_slice.table)))
    forget_tables(connection)
    current = existing_table(connection, table_slice.schema, table_slice.table)
    if current is None:
        raise LookupError(f"Table {table} was dropped while its slice was written.")
    if uncleared is not None:
        clear_slice(connection, current, table_slice)
    return current
