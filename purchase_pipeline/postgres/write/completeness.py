"""Whether PostgreSQL stored as many rows as it was handed, and all of them in the slice that is written.

The next write of the slice would store a row outside of it again, for it clears the slice alone. What an AFTER trigger,
a rule or a view does with rows shows only in the table, too. So a slice is counted after it was written: by the index
on its columns, for a sixth of what COPY takes. Rows that are added to others are staged and looked at on their way: a
count would cost as much as all that are there.
"""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import TableSlice
from purchase_pipeline.postgres.errors import RowsNotStoredError, RowsOutsideSliceError
from purchase_pipeline.postgres.schema.table_facts import table_facts
from purchase_pipeline.postgres.schema.types import short_repr
from purchase_pipeline.postgres.slices.conditions import describe_slice, expression_of, slice_conditions
from purchase_pipeline.postgres.slices.deletion import comparison_errors, count_slice
from purchase_pipeline.postgres.write_options import WriteMode

_WRITTEN_HERE = sa.literal_column("xmin = pg_current_xact_id()::xid", sa.Boolean())


def require_all(table: sa.FromClause, handed: int, stored: int) -> None:
    """Make sure that as many rows are stored as were handed over.

    Raises:
        RowsNotStoredError: they are not.
    """
    if stored != handed:
        raise RowsNotStoredError(str(table), handed, stored)


class SliceVerifier:
    """A slice of a table while rows of these columns are written to it.

    Attributes:
        interferes: whether triggers, rules or policies of the table may do something else with the rows.
        inspects_first: whether the rows are to be staged and looked at, before they come to those that are there.
        counts: whether only the table tells where the rows are, once they are there.
    """

    def __init__(
        self,
        connection: sa.Connection,
        table: sa.Table,
        table_slice: TableSlice,
        names: Collection[str],
        mode: WriteMode,
    ) -> None:
        self._connection, self._table, self._slice = connection, table, table_slice
        cut_by = [dimension.partition_expr for dimension in table_slice.partition_dimensions or ()]
        filled_in = [column.name for column in table.columns if column.name not in names]
        self._facts = table_facts(connection, table)
        self.interferes = self._facts.interferes
        # What the table fills in, the rows do not tell before they are there.
        self._can_inspect = bool(cut_by) and not any(name in text for text in cut_by for name in filled_in)
        self.inspects_first = self._can_inspect and mode != "replace"
        self.counts = self.interferes or (bool(cut_by) and not self.inspects_first)
        self._before = self._count() if self.counts and mode == "append" else 0

    def look(self, staged: sa.Table, handed: int) -> None:
        """Make sure that all staged rows are the slice's.

        Raises:
            RowsOutsideSliceError: they are not.
        """
        if self._can_inspect:
            self._refuse_outside(staged.alias(self._table.name), handed)

    def require(self, handed: int) -> None:
        """Make sure that the slice has as many more rows as were handed over.

        Raises:
            RowsNotStoredError: it has not.
        """
        stored = self._count() - self._before if self.counts else handed
        if stored != handed and self._slice.partition_dimensions and self._facts.is_table:
            self._refuse_outside(self._table, handed, _WRITTEN_HERE, missing=handed - stored)
        require_all(self._table, handed, stored)

    def require_merged(self, staged: sa.Table, keys: Sequence[str]) -> None:
        """Make sure that the slice has a row of each staged row's keys, where the staged rows did not tell.

        A key that is NULL is no row's but its own.

        Raises:
            RowsNotStoredError: it has not.
        """
        if not (self.counts and self._slice.partition_dimensions):
            return
        conditions = slice_conditions(self._connection, self._table, self._slice)
        same = sa.and_(*(self._table.columns[key] == staged.columns[key] for key in keys), *conditions)
        no_key = [staged.columns[key].is_(None) for key in keys]
        there = sa.or_(sa.exists().where(same).correlate(staged), *no_key)
        query = sa.select(sa.func.count(), sa.func.count().filter(there)).select_from(staged)
        require_all(self._table, *self._connection.execute(query).one())

    def _count(self) -> int:
        return count_slice(self._connection, self._table, self._slice)

    def _refuse_outside(
        self, rows: sa.FromClause, handed: int, *which: sa.ColumnElement[bool], missing: int | None = None
    ) -> None:
        """Refuse rows that lie outside of the slice; where so many are missing, if they are those."""
        with comparison_errors(self._table, self._slice):
            conditions = slice_conditions(self._connection, rows, self._slice)
            dimensions = self._slice.partition_dimensions or ()
            values = [sa.cast(expression_of(rows, dimension), sa.Text) for dimension in dimensions]
            query = sa.select(sa.func.count().over(), *values).select_from(rows).limit(1)
            found = self._connection.execute(
                query.where(sa.and_(*conditions).is_not(sa.true()), *which)
            ).first()
        if found is None or missing not in (None, found[0]):
            return
        example = ", ".join(
            f"{dimension.partition_expr} = {'NULL' if value is None else short_repr(value)}"
            for dimension, value in zip(dimensions, found[1:], strict=True)
        )
        raise RowsOutsideSliceError(str(self._table), handed, found[0], describe_slice(self._slice), example)
