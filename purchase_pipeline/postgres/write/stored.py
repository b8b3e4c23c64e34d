"""Whether PostgreSQL stored as many rows as it was handed: a trigger or a rule of the table may drop, add or move some.

What PostgreSQL says of COPY and INSERT leaves out the rows that a BEFORE trigger kept away. What an AFTER trigger, a
rule or a view does with rows shows only in the table: where there is one, and only there, the slice is counted.
"""

import sqlalchemy as sa
from dagster._core.storage.db_io_manager import TableSlice
from psycopg import sql

from purchase_pipeline.postgres.errors import RowsNotStoredError
from purchase_pipeline.postgres.slices.conditions import slice_conditions

_MAY_INTERFERE = """
    SELECT relhasrules OR EXISTS (
        SELECT FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'
        AND (tgrelid = pg_class.oid OR tgrelid IN (SELECT relid FROM pg_partition_tree(pg_class.oid)))
    )
    FROM pg_class WHERE oid = to_regclass(%s)
"""


def may_interfere(connection: sa.Connection, table: sa.Table) -> bool:
    """Tell whether the table, or a partition of it, has triggers or rules of its owner's; a view has one always."""
    name = sql.Identifier(*filter(None, (table.schema, table.name))).as_string()
    return bool(connection.exec_driver_sql(_MAY_INTERFERE, (name,)).scalar())


def require_all(table: sa.FromClause, handed: int, stored: int) -> None:
    """Make sure that as many rows are stored as were handed over.

    Raises:
        RowsNotStoredError: they are not.
    """
    if stored != handed:
        raise RowsNotStoredError(str(table), handed, stored)


class SliceWatch:
    """The slice's rows before and after a write: counted where something may interfere, and only there.

    `keeps`: the write adds to the rows that are there; else there are none by now.
    """

    def __init__(
        self, connection: sa.Connection, table: sa.Table, table_slice: TableSlice, *, keeps: bool
    ) -> None:
        self._connection, self._table, self._slice = connection, table, table_slice
        self.needed = may_interfere(connection, table)
        self._before = self._count() if self.needed and keeps else 0

    def require(self, handed: int) -> None:
        """Make sure that the slice has as many more rows as were handed over.

        Raises:
            RowsNotStoredError: it has not.
        """
        if self.needed:
            require_all(self._table, handed, self._count() - self._before)

    def _count(self) -> int:
        conditions = slice_conditions(self._connection, self._table, self._slice)
        query = sa.select(sa.func.count()).select_from(self._table).where(*conditions)
        return self._connection.execute(query).scalar_one()
