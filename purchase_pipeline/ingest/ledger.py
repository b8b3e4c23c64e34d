"""The ledger of a feed: rows received, loaded and rejected. It is the source of truth for what is loaded."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.selectable import NamedFromClause

from purchase_pipeline.ingest.tables import FeedTables
from purchase_pipeline.postgres.slices.ledger import ledger_table, recorded_cursor
from purchase_pipeline.postgres.slices.ledger_versions import ledger_version

_Entry = NamedFromClause
LEDGER = ledger_table()
# `committed_at` is set before the commit, so an entry may become visible after a later one. A run is limited to 15
# minutes; the rest is a margin for a clock that is set back.
_LONGEST_COMMIT = timedelta(hours=1)
_MERGES_SINCE = 3  # version of the ledger


class LoadedPartition(NamedTuple):
    """Row counts of a partition, the digest of its raw file, the run that loaded it, and what was pruned of it.

    Rejected rows that were pruned are counted: as many as the ledger has recorded with their load.
    """

    key: str
    received: int
    loaded: int
    rejected: int
    committed_at: datetime
    digest: str
    run_id: str
    rejects_pruned_at: datetime | None = None

    @property
    def balanced(self) -> bool:
        """True if rows received = rows loaded + rows rejected."""
        return self.received == self.loaded + self.rejected


class Totals(NamedTuple):
    """Row counts of several partitions."""

    received: int
    loaded: int
    rejected: int


def totals(partitions: Iterable[LoadedPartition]) -> Totals:
    """Sum the counts of partitions."""
    known = list(partitions)
    return Totals(*(sum(getattr(one, name) for one in known) for name in Totals._fields))


class Ledger:
    """Reads the ledger and the tables of a feed.

    A partition is loaded if both its slices, accepted and rejected rows, were committed from the same raw file and
    their rows still exist, or the rejected ones were pruned. A wiped partition counts as missing. Rows that are
    upserted or inserted by keys may be those of another partition by now: partitions are missing if the whole table is
    empty, and their rows are those counted when they were written.
    """

    def __init__(self, engine: sa.Engine, tables: FeedTables) -> None:
        self._engine = engine
        self._tables = tables

    @property
    def engine(self) -> sa.Engine:
        """The database of the ledger and the tables."""
        return self._engine

    def loaded(
        self, keys: Sequence[str] | None = None, *, newest_known: datetime | None = None
    ) -> dict[str, LoadedPartition]:
        """Return the loaded partitions, or those among `keys`, with the ledger's counts; tables are not counted.

        With `newest_known`, return only partitions that may have been committed since.
        """
        accepted, rejected = LEDGER.alias("accepted"), LEDGER.alias("rejected")
        query = self._loaded(accepted, rejected, self._written(accepted), rejected.c.rows).where(
            self._still_there(accepted, self._tables.accepted),
            self._still_there(rejected, self._tables.rejected),
        )
        if newest_known is not None:
            query = query.where(accepted.c.partition.in_(self._committed_since(newest_known)))
        return self._read(query.where(_is_one_of(keys, accepted.c.partition)))

    def loaded_keys(self, checked_ratio: float) -> dict[str, datetime]:
        """Return the keys of the loaded partitions and when they were committed; check a random sample for their rows.

        Reading 100,000 ledger entries takes 0.125 s. Checking that each has rows takes seven times as long, as each
        is on another page of the key's index.
        """
        accepted, rejected = LEDGER.alias("accepted"), LEDGER.alias("rejected")
        skipped = sa.func.random() >= checked_ratio
        keys = sa.select(accepted.c.partition.label("key"), accepted.c.committed_at)
        query = self._committed(keys, accepted, rejected).where(
            sa.or_(skipped, self._still_there(accepted, self._tables.accepted)),
            sa.or_(skipped, self._still_there(rejected, self._tables.rejected)),
        )
        return {row.key: row.committed_at for row in self._rows(query)}

    def counted(self, keys: Sequence[str] | None = None) -> dict[str, LoadedPartition]:
        """Return the committed partitions, or those among `keys`, with rows counted in the tables."""
        accepted, rejected = LEDGER.alias("accepted"), LEDGER.alias("rejected")
        merges = self._tables.write.merges
        loaded = self._written(accepted) if merges else self._count(self._tables.accepted, accepted)
        counted = self._count(self._tables.rejected, accepted)
        kept_or_pruned = sa.case((pruned_at(rejected).is_not(None), rejected.c.rows), else_=counted)
        query = self._loaded(accepted, rejected, loaded, kept_or_pruned)
        return self._read(query.where(_is_one_of(keys, accepted.c.partition)))

    def has_entry(self, key: str, digest: str) -> bool:
        """Return whether a partition was ever committed from a raw file, even if its rows are gone by now."""
        entry = (
            LEDGER.c.asset == self._tables.accepted.name,
            LEDGER.c.partition == key,
            LEDGER.c.digest == digest,
        )
        with self._engine.connect() as connection:
            return (
                bool(ledger_version(connection))
                and connection.execute(sa.select(sa.exists().where(*entry))).scalar_one()
            )

    def greatest(self, field: str) -> Any:  # noqa: ANN401  (of the field's type)
        """Return the greatest committed value of a field that is the cursor; None if the table is missing or empty."""
        table = self._tables.accepted
        cursor = recorded_cursor(None, table.name, None, table.columns[field].type)
        with self._engine.connect() as connection:
            if not self._exist(connection, table):
                return None
            a_row = sa.select(sa.literal(1)).select_from(table).limit(1)
            return connection.execute(sa.select(cursor)).scalar() if connection.scalar(a_row) else None

    def gaps_and_duplicates(self, keys: Sequence[str] | None = None) -> Sequence[tuple[str, int, int]]:
        """Return `(key, gaps, duplicates)` of each partition whose row numbers, over both tables, are not 1, 2, ...

        Pruned rows are gaps, so as many gaps as rejected rows were pruned are none.
        """
        tables = self._tables
        pruned = self._pruned()
        counted = sa.union_all(
            *(
                sa.select(
                    tables.partition_of(table).label("key"),
                    sa.func.count().label("rows"),
                    sa.func.max(tables.row_number_of(table)).label("last"),
                )
                .where(_is_one_of(keys, tables.partition_of(table)))
                .group_by(tables.partition_of(table))
                for table in tables.both
            )
        ).subquery()
        # Within a table the primary key excludes them.
        key, other_key = map(tables.partition_of, tables.both)
        number, other_number = map(tables.row_number_of, tables.both)
        duplicated = (
            sa.select(key.label("key"), sa.func.count().label("rows"))
            .where(key == other_key, number == other_number)
            .where(_is_one_of(keys, other_key))
            .group_by(key)
            .subquery()
        )
        duplicates = sa.func.coalesce(sa.func.max(duplicated.c.rows), 0)
        last = sa.func.max(sa.func.greatest(pruned.c.source_rows, counted.c.last))
        missing = sa.func.coalesce(sa.func.max(pruned.c.rows), 0)
        gaps = last - sa.func.sum(counted.c.rows) - missing + duplicates
        query = (
            sa.select(counted.c.key, gaps, duplicates)
            .outerjoin(duplicated, duplicated.c.key == counted.c.key)
            .outerjoin(pruned, pruned.c.partition == counted.c.key)
            .group_by(counted.c.key)
            .having(sa.or_(gaps != 0, duplicates != 0))
            .order_by(counted.c.key)
        )
        with self._engine.connect() as connection:
            return [(name, int(gap), int(duplicate)) for name, gap, duplicate in connection.execute(query)]

    def pruned_rejects(self, keys: Sequence[str] | None = None) -> dict[str, int]:
        """Return how many rejected rows were pruned, by partition."""
        pruned = self._pruned()
        query = sa.select(pruned.c.partition, pruned.c.rows).where(_is_one_of(keys, pruned.c.partition))
        return {row.partition: row.rows for row in self._rows(query)}

    def differences_from_contract(self) -> list[str]:
        """Return the differences between the tables' columns and the contract, one sentence each."""
        with self._engine.connect() as connection:
            return [
                difference for table in self._tables.both for difference in _differences(connection, table)
            ]

    def _read(self, query: sa.Select[Any]) -> dict[str, LoadedPartition]:
        return {row.key: LoadedPartition(*row) for row in self._rows(query.order_by("key"))}

    def _rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[*tuple[Any, ...]]]:
        """Return the query's rows; none if a table is missing."""
        with self._engine.connect() as connection:
            return connection.execute(query).all() if self._exist(connection, *self._tables.both) else []

    def _exist(self, connection: sa.Connection, *tables: sa.Table) -> bool:
        """Return whether the tables exist, and a ledger that may have entries of the feed.

        A ledger is upgraded by writing, not by reading: until then it has no columns of merges, nor any merge.
        """
        needed = _MERGES_SINCE if self._tables.write.merges else 1
        inspector = sa.inspect(connection)
        return ledger_version(connection) >= needed and all(inspector.has_table(each.name) for each in tables)

    def _loaded(
        self,
        accepted: _Entry,
        rejected: _Entry,
        loaded_rows: sa.ColumnElement[int],
        rejected_rows: sa.ColumnElement[int],
    ) -> sa.Select[Any]:
        counts = sa.select(
            accepted.c.partition.label("key"),
            accepted.c.source_rows,
            loaded_rows.label("loaded"),
            rejected_rows.label("rejected"),
            sa.func.greatest(accepted.c.committed_at, rejected.c.committed_at),
            accepted.c.digest,
            accepted.c.run_id,
            pruned_at(rejected),
        )
        return self._committed(counts, accepted, rejected)

    def _committed(self, query: sa.Select[Any], accepted: _Entry, rejected: _Entry) -> sa.Select[Any]:
        """Select from partitions whose slices were both committed from the same raw file."""
        same_partition = sa.and_(
            accepted.c.partition == rejected.c.partition,
            accepted.c.digest == rejected.c.digest,
            accepted.c.asset == self._tables.accepted.name,
            rejected.c.asset == self._tables.rejected.name,
        )
        return query.join_from(accepted, rejected, same_partition)

    def _committed_since(self, newest_known: datetime) -> sa.Select[Any]:
        """Select the partitions with a slice that may have been committed since.

        As a subquery it is evaluated before the lookup of rows; as a condition on both slices it would come after.
        """
        since = sa.func.least(newest_known, sa.func.now()) - _LONGEST_COMMIT
        of_the_feed = LEDGER.c.asset.in_([table.name for table in self._tables.both])
        return sa.select(LEDGER.c.partition).where(of_the_feed, LEDGER.c.committed_at >= since)

    def _pruned(self) -> sa.Subquery:
        """Select the partitions whose rejected rows were pruned, with the number of those and of all received."""
        entry = LEDGER.alias("pruned_entry")
        query = sa.select(entry.c.partition, entry.c.source_rows, entry.c.rows).where(
            entry.c.asset == self._tables.rejected.name, pruned_at(entry).is_not(None)
        )
        return query.subquery("pruned")

    def _written(self, entry: _Entry) -> sa.ColumnElement[int]:
        return rows_written(entry) if self._tables.write.merges else entry.c.rows

    def _count(self, table: sa.Table, entry: _Entry) -> sa.ScalarSelect[int]:
        key = self._tables.partition_of(table)
        return sa.select(sa.func.count()).where(key == entry.c.partition).scalar_subquery()

    def _still_there(self, entry: _Entry, table: sa.Table) -> sa.ColumnElement[bool]:
        # Not EXISTS: in an OR, PostgreSQL may scan the whole table for it. Nor any row: of few partitions it expects
        # one among the first rows of the table, and reads all before it. The first by the key is in its index.
        key = self._tables.partition_of(table)
        a_row = sa.select(key).limit(1)
        if table is self._tables.accepted and self._tables.write.merges:
            return sa.or_(self._written(entry) == 0, a_row.scalar_subquery().is_not(None))
        first = a_row.where(key == entry.c.partition).order_by(self._tables.row_number_of(table))
        return sa.or_(entry.c.rows == 0, first.scalar_subquery().is_not(None), pruned_at(entry).is_not(None))


def pruned_at(entry: _Entry) -> sa.ColumnElement[datetime | None]:
    """Return when a retention deleted the rows of an entry; also of a ledger that does not have the column yet."""
    recorded = sa.func.to_jsonb(entry.table_valued()).op("->>")("pruned_at")
    return sa.cast(recorded, sa.DateTime(timezone=True))


def rows_written(entry: _Entry) -> sa.ColumnElement[int]:
    """Return the rows of a merge: inserted, updated, there already, or superseded."""
    counts = (entry.c.rows_inserted, entry.c.rows_updated, entry.c.rows_unchanged, entry.c.rows_older)
    return sum((sa.func.coalesce(count, 0) for count in counts), start=sa.literal(0))


def first_seen(
    connection: sa.Connection, tables: FeedTables, partition: str
) -> dict[tuple[int, str], datetime]:
    """Return when each rejected row of a partition was first rejected, by row number and SHA-256."""
    table = tables.rejected
    if not sa.inspect(connection).has_table(table.name):
        return {}
    query = sa.select(tables.row_number_of(table), table.c.original_sha256, table.c.first_seen)
    found = connection.execute(query.where(tables.partition_of(table) == partition))
    return {(number, digest): seen for number, digest, seen in found}


def _is_one_of(keys: Sequence[str] | None, column: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a column has one of `keys` (one array parameter, so any number), or any value."""
    if keys is None:
        return sa.true()
    return column == sa.any_(sa.literal(list(keys), ARRAY(sa.Text)))


def _differences(connection: sa.Connection, declared: sa.Table) -> list[str]:
    inspector = sa.inspect(connection)
    if not inspector.has_table(declared.name):
        return [f"{declared.name} does not exist"]
    expected = {
        column.name: _as_text(connection, column.type, column.nullable) for column in declared.columns
    }
    found = {
        column["name"]: _as_text(connection, column["type"], column["nullable"])
        for column in inspector.get_columns(declared.name)
    }
    return [
        f"{declared.name}.{name}: the contract has {expected.get(name, 'no such column')}, "
        f"the table {found.get(name, 'no such column')}"
        for name in expected.keys() | found.keys()
        if expected.get(name) != found.get(name)
    ]


def _as_text(connection: sa.Connection, kind: sa.types.TypeEngine[Any], nullable: bool | None) -> str:  # noqa: FBT001
    return f"{kind.compile(connection.dialect)}{'' if nullable else ' NOT NULL'}"
