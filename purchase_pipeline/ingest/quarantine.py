"""Rejected rows and their reasons: those in the quarantine, and those of a landed partition."""

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.tables import FeedTables
from purchase_pipeline.ingest.validation import PARTICULARS, RejectedRow, RowValidation, kinds_of

Grouping = Literal["reason", "field", "partition"]

_WHOLE_ROW = "(the whole row)"


class RejectGroup(NamedTuple):
    """Rejected rows with the same reason, field or partition; `example` names the first one."""

    what: str
    rows: int
    partitions: int
    example: str


class Rejects(Protocol):
    """Rejected rows, wherever they are."""

    def rows(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return rejected rows ordered by partition and row number, up to a limit if given."""

    def count(self) -> int:
        """Return the number of rejected rows."""

    def grouped(self, by: Grouping) -> list[RejectGroup]:
        """Return the groups by reason (without the values seen), field or partition, largest first.

        A row with several reasons is in several groups.
        """


class LandedRejects:
    """The rows of a landed partition that fail validation, loaded or not."""

    def __init__(self, landed: LandedPartition, landing: Landing, tables: FeedTables) -> None:
        self._tables = tables
        self._partition = landed.partition
        self._rejected = rejected_rows(landed, landing, tables)

    def rows(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return rejected rows, with the columns that do not come from a run."""
        names = self._tables.partition, self._tables.row_number, *RejectedRow._fields[1:]
        return [dict(zip(names, (self._partition, *row), strict=True)) for row in self._rejected[:limit]]

    def count(self) -> int:
        """Return the number of rejected rows."""
        return len(self._rejected)

    def grouped(self, by: Grouping) -> list[RejectGroup]:
        """Return the groups as `Quarantine` does."""
        groups = defaultdict[str, list[RejectedRow]](list)
        for row in self._rejected:
            texts = {"reason": row.reasons, "field": row.fields, "partition": [self._partition]}[by]
            for what in kinds_of(texts or [_WHOLE_ROW]):
                groups[what].append(row)
        return [
            RejectGroup(
                what, len(rows), 1, f"{self._partition} {self._tables.row_number} {rows[0].row_number}"
            )
            for what, rows in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
        ]


def rejected_rows(landed: LandedPartition, landing: Landing, tables: FeedTables) -> list[RejectedRow]:
    """Validate a landed partition to its end, however many rows fail, and return those.

    Raises:
        DamagedFileError, MissingRowsError: the file does not have the rows that were received.
    """
    validation = RowValidation(
        landed.partition,
        contract=tables.contract,
        received=landed.rows,
        max_rejected_ratio=float("inf"),
        today=landed.received_on,
    )
    with landing.open_rows(landed) as raw_rows:
        deque(validation.accepted(raw_rows, in_bulk=True), maxlen=0)
    return validation.rejected


class Quarantine:
    """The quarantine of a feed, or the rows of one partition in it."""

    def __init__(self, engine: sa.Engine, tables: FeedTables, partition: str | None = None) -> None:
        self._engine = engine
        self._partition = partition
        self._table = tables.rejected
        self._key = tables.partition_of(self._table)
        self._number = tables.row_number_of(self._table)

    def rows(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return rejected rows with all columns of the table."""
        query = sa.select(self._table).order_by(self._key, self._number).limit(limit)
        names = self._table.columns.keys()
        return [dict(zip(names, row, strict=True)) for row in self._read(query)]

    def count(self) -> int:
        """Return the number of rejected rows."""
        found = self._read(sa.select(sa.func.count()).select_from(self._table))
        return sum(count for (count,) in found)

    def grouped(self, by: Grouping) -> list[RejectGroup]:
        """Return the groups, counted by the database."""
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
        return [RejectGroup._make(row) for row in self._read(query)]

    def _of(self, by: Grouping) -> tuple[sa.ColumnElement[str], sa.FromClause]:
        """Return the grouping expression and its FROM clause."""
        if by == "partition":
            return self._key, self._table
        texts = self._table.c.reasons if by == "reason" else self._table.c.fields
        each = sa.func.unnest(texts).table_valued("each").render_derived()
        what = sa.func.coalesce(sa.func.regexp_replace(each.c.each, PARTICULARS, ""), _WHOLE_ROW)
        return what, self._table.join(each, sa.true(), isouter=True)

    def _read(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self._engine.connect() as connection:
            if not sa.inspect(connection).has_table(self._table.name):
                return []
            of_all = self._partition is None
            return connection.execute(query if of_all else query.where(self._key == self._partition)).all()
