"""Retention: deletion of what loaded partitions no longer need, their landed files and their rows of the quarantine.

The table and the ledger are kept for ever, and so are manifests: they say what was deleted, and when.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.ingest.landing.manifest import file_name_of
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.ledger import LEDGER, Ledger, LoadedPartition
from purchase_pipeline.ingest.tables import FeedTables
from purchase_pipeline.postgres.locks import lock_slice
from purchase_pipeline.postgres.slices.ledger_versions import prepare_ledger

_ROWS_A_TRANSACTION = 10_000
_PARTITIONS_A_TRANSACTION = 100


@dataclass(frozen=True, kw_only=True)
class Retention:
    """Days after which a partition's files and rows are deleted, if it is loaded and nothing has loaded it since.

    Attributes:
        landing_days: days that the landed file is kept after the load; by default for ever.
        quarantine_days: the same of its rows in the quarantine.
    """

    landing_days: int | None = None
    quarantine_days: int | None = None


class Pruned(NamedTuple):
    """What was deleted of a partition: a file's bytes, or a number of rows."""

    partition: str
    amount: int


def prune_landing(
    landing: Landing, ledger: Ledger, before: datetime, *, keep: Collection[str] = (), dry_run: bool = False
) -> Iterator[Pruned]:
    """Delete the landed files of partitions that were received and loaded before a moment.

    Files of partitions that are not loaded, that were refused, or that landed again since their load, are kept.

    Args:
        landing: the feed's landing.
        ledger: the feed's ledger.
        before: the moment.
        keep: partitions to keep: those of runs in progress.
        dry_run: delete nothing; yield what would be deleted.
    """
    sizes = landing.sizes()
    if not sizes:
        return
    prune = landing.can_be_pruned if dry_run else landing.prune
    for one in _old(ledger, before, keep):
        name = file_name_of(one.key, one.digest)
        if name in sizes and prune(one.key, one.digest, before):
            yield Pruned(one.key, sizes[name])


def prune_quarantine(
    ledger: Ledger,
    tables: FeedTables,
    before: datetime,
    *,
    keep: Collection[str] = (),
    dry_run: bool = False,
) -> Iterator[Pruned]:
    """Delete the rejected rows of partitions that were loaded before a moment, and record that in the ledger.

    A transaction deletes those of some partitions, and waits for loads of these alone. Arguments are those of
    `prune_landing`.
    """
    old = [one for one in _old(ledger, before, keep) if one.rejected and one.rejects_pruned_at is None]
    for group in _grouped(old):
        if dry_run:
            yield from (Pruned(one.key, one.rejected) for one in group)
        else:
            yield from _delete_rejects(ledger.engine, tables, before, group)


def _old(ledger: Ledger, before: datetime, keep: Collection[str]) -> Iterator[LoadedPartition]:
    """Yield the loaded partitions that were committed before a moment, in order."""
    for one in ledger.loaded().values():
        if one.committed_at < before and one.key not in keep:
            yield one


def _grouped(partitions: Iterable[LoadedPartition]) -> Iterator[list[LoadedPartition]]:
    """Yield groups of partitions for a transaction each; one with very many rows is alone."""
    group, rows = list[LoadedPartition](), 0
    for one in partitions:
        if group and (rows + one.rejected > _ROWS_A_TRANSACTION or len(group) == _PARTITIONS_A_TRANSACTION):
            yield group
            group, rows = [], 0
        group.append(one)
        rows += one.rejected
    if group:
        yield group


def _delete_rejects(
    engine: sa.Engine, tables: FeedTables, before: datetime, group: Sequence[LoadedPartition]
) -> list[Pruned]:
    table = tables.rejected
    entry = sa.and_(
        LEDGER.c.asset == table.name, LEDGER.c.committed_at < before, LEDGER.c.pruned_at.is_(None)
    )
    with engine.begin() as connection:
        schema = sa.inspect(connection).default_schema_name or "public"
        prepare_ledger(connection, schema)
        for one in group:
            lock_slice(connection, schema, table.name, one.key)
        # Read again under the lock, as a load may have committed meanwhile.
        marked = connection.scalars(
            sa.update(LEDGER)
            .where(entry, _is_one_of(LEDGER.c.partition, [one.key for one in group]))
            .values(pruned_at=sa.func.clock_timestamp())
            .returning(LEDGER.c.partition)
        ).all()
        key = tables.partition_of(table)
        deleted = sa.delete(table).where(_is_one_of(key, marked)).returning(key).cte("deleted")
        column = deleted.columns[key.name]
        counts = connection.execute(sa.select(column, sa.func.count()).group_by(column).order_by(column))
        return [Pruned(name, rows) for name, rows in counts]


def _is_one_of(column: sa.Column[str], keys: Sequence[str]) -> sa.ColumnElement[bool]:
    return column == sa.any_(sa.literal(list(keys), ARRAY(sa.Text)))
