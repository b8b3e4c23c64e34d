"""Queries on the quarantine: rejected rows and their reasons."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from purchase_pipeline.ingest.tables import FeedTables
from purchase_pipeline.ingest.validation import PARTICULARS

Grouping = Literal["reason", "field", "partition"]

_WHOLE_ROW = "(the whole row)"


class RejectGroup(NamedTuple):
    """Rejected rows with the same reason, field or partition; `example` names the first one."""

    what: str
    rows: int
    partitions: int
    example: str


class Quarantine:
    """Reads the quarantine of a feed."""

    def __init__(self, engine: sa.Engine, tables: FeedTables) -> None:
        self._engine = engine
        self._table = tables.rejected
        self._key = tables.partition_of(self._table)
        self._number = tables.row_number_of(self._table)

    def rows(self, partition: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
        """Return rejected rows ordered by partition and row number; of one partition, up to a limit, if given."""
        query = sa.select(self._table).order_by(self._key, self._number).limit(limit)
        names = self._table.columns.keys()
        return [dict(zip(names, row, strict=True)) for row in self._read(query, partition)]

    def count(self, partition: str | None = None) -> int:
        """Return the number of rejected rows."""
        found = self._read(sa.select(sa.func.count()).select_from(self._table), partition)
        return sum(count for (count,) in found)

    def grouped(self, by: Grouping, partition: str | None = None) -> list[RejectGroup]:
        """Return the groups by reason (without the values seen), field or partition, largest first.

        A row with several reasons is in several groups.
        """
        what, source = self._of(by)
        first = sa.func.concat(self._key, f" {self._number.name} ", self._number)
        example = sa.func.array_agg(aggregate_order_by(first, self._key, self._number))
        rows = sa.func.count(sa.tuple_(self._key, self._number).distinct())
        query = (
            sa.select(what.label("what"), rows, sa.func.count(self._key.distinct()), example[1])
            .select_from(source)
            .group_by("what")
            .order_by(rows.desc(), "what")
        )
        return [RejectGroup._make(row) for row in self._read(query, partition)]

    def _of(self, by: Grouping) -> tuple[sa.ColumnElement[str], sa.FromClause]:
        """Return the grouping expression and its FROM clause."""
        if by == "partition":
            return self._key, self._table
        texts = self._table.c.reasons if by == "reason" else self._table.c.fields
        each = sa.func.unnest(texts).table_valued("each").render_derived()
        what = sa.func.coalesce(sa.func.regexp_replace(each.c.each, PARTICULARS, ""), _WHOLE_ROW)
        return what, self._table.join(each, sa.true(), isouter=True)

    def _read(self, query: sa.Select[Any], partition: str | None) -> Sequence[sa.Row[Any]]:
        with self._engine.connect() as connection:
            if not sa.inspect(connection).has_table(self._table.name):
                return []
            return connection.execute(
                query if partition is None else query.where(self._key == partition)
            ).all()
