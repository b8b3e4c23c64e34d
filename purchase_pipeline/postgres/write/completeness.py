"""Checks that PostgreSQL stored all the given rows, and all of them in the slice.

A row outside of the slice would be stored again by the next write, which deletes only the slice. The effects of an
AFTER trigger, a rule or a view also show only in the table. So a slice is counted after the write, by the index on its
columns, for a sixth of the cost of COPY. Rows appended to others are staged and checked first: a count would cost as
much as all existing rows.
"""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from purchase_pipeline.postgres.errors import RowsOutsideSliceError
from purchase_pipeline.postgres.schema.table_facts import table_facts
from purchase_pipeline.postgres.schema.types import short_repr
from purchase_pipeline.postgres.slices.conditions import expression_of
from purchase_pipeline.postgres.slices.slice import Slice
from purchase_pipeline.postgres.write.copy import require_all
from purchase_pipeline.postgres.write_options import WriteMode

_WRITTEN_HERE = sa.literal_column("xmin = pg_current_xact_id()::xid", sa.Boolean())


class SliceVerifier:
    """Checks the rows written to a slice of a table.

    Attributes:
        interferes: whether triggers, rules or policies of the table may change what is stored.
        inspects_first: whether the rows must be staged and checked before they are added to existing ones.
        counts: whether the slice must be counted after the write.
    """

    def __init__(self, part: Slice, names: Collection[str], mode: WriteMode) -> None:
        self._slice, self._dimensions = part, part.bounds.partition_dimensions or ()
        cut_by = [dimension.partition_expr for dimension in self._dimensions]
        filled_in = [column.name for column in part.table.columns if column.name not in names]
        self._facts = table_facts(part.connection, part.table)
        self.interferes = self._facts.interferes
        # Values that the table fills in are unknown before the rows are stored.
        self._can_inspect = bool(cut_by) and not any(name in text for text in cut_by for name in filled_in)
        self.inspects_first = self._can_inspect and mode != "replace"
        self.counts = self.interferes or (bool(cut_by) and not self.inspects_first)
        self._before = part.count() if self.counts and mode == "append" else 0

    def check_staged(self, staged: sa.Table, handed: int) -> None:
        """Check that all staged rows belong to the slice.

        Raises:
            RowsOutsideSliceError: some do not.
        """
        if self._can_inspect:
            self._reject_outside(staged.alias(self._slice.table.name), handed)

    def check(self, handed: int) -> None:
        """Check that the slice has grown by the given number of rows.

        Raises:
            RowsNotStoredError: it has not.
        """
        stored = self._slice.count() - self._before if self.counts else handed
        if stored != handed and self._dimensions and self._facts.is_table:
            self._reject_outside(self._slice.table, handed, _WRITTEN_HERE, missing=handed - stored)
        require_all(self._slice.table, handed, stored)

    def check_merged(self, staged: sa.Table, keys: Sequence[str]) -> None:
        """Check that the slice has a row for each staged row's keys, if staged rows could not be checked.

        NULL keys match no other row.

        Raises:
            RowsNotStoredError: it has not.
        """
        if not (self.counts and self._dimensions):
            return
        table = self._slice.table
        conditions = self._slice.conditions(table)
        same = sa.and_(*(table.columns[key] == staged.columns[key] for key in keys), *conditions)
        no_key = [staged.columns[key].is_(None) for key in keys]
        there = sa.or_(sa.exists().where(same).correlate(staged), *no_key)
        query = sa.select(sa.func.count(), sa.func.count().filter(there)).select_from(staged)
        require_all(table, *self._slice.connection.execute(query).one())

    def _reject_outside(
        self, rows: sa.FromClause, handed: int, *which: sa.ColumnElement[bool], missing: int | None = None
    ) -> None:
        """Raise if rows lie outside the slice; with `missing`, only if that many do."""
        with self._slice.comparison_errors():
            conditions = self._slice.conditions(rows)
            values = [sa.cast(expression_of(rows, dimension), sa.Text) for dimension in self._dimensions]
            query = sa.select(sa.func.count().over(), *values).select_from(rows).limit(1)
            found = self._slice.connection.execute(
                query.where(sa.and_(*conditions).is_not(sa.true()), *which)
            ).first()
        if found is None or missing not in (None, found[0]):
            return
        example = ", ".join(
            f"{dimension.partition_expr} = {'NULL' if value is None else short_repr(value)}"
            for dimension, value in zip(self._dimensions, found[1:], strict=True)
        )
        raise RowsOutsideSliceError(str(self._slice.table), handed, found[0], str(self._slice), example)
