"""The ledger of batches: rows received, loaded and rejected. It is the source of truth for what is loaded."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.ingest.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.postgres.slices.ledger import ledger_table

_Entry = sa.FromClause
LEDGER = ledger_table()
# `committed_at` is set before the commit, so an entry may become visible after a later one. A run is limited to 15
# minutes; the rest is a margin for a clock that is set back.
_LONGEST_COMMIT = timedelta(hours=1)


class LotCount(NamedTuple):
    """Row counts of a batch, the digest of its raw file, and the run that loaded it."""

    lote: str
    received: int
    loaded: int
    rejected: int
    committed_at: datetime
    digest: str
    run_id: str

    @property
    def conserved(self) -> bool:
        """True if rows received = rows loaded + rows rejected."""
        return self.received == self.loaded + self.rejected


class LotTotals(NamedTuple):
    """Row counts of several batches."""

    received: int
    loaded: int
    rejected: int


def totals(lots: Iterable[LotCount]) -> LotTotals:
    """Sum the counts of batches."""
    known = list(lots)
    return LotTotals(*(sum(getattr(lot, name) for lot in known) for name in LotTotals._fields))


class LotLedger:
    """Reads the ledger and the tables.

    A batch is loaded if both its slices, accepted and rejected rows, were committed from the same raw file and their
    rows still exist. A wiped batch counts as missing.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def ping(self) -> bool:
        """Return true if the database responds."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.true())).scalar_one()

    def loaded_lots(
        self, lots: Sequence[str] | None = None, *, newest_known: datetime | None = None
    ) -> dict[str, LotCount]:
        """Return the loaded batches, or those among `lots`, with the ledger's counts; tables are not counted.

        With `newest_known`, return only batches that may have been committed since.
        """
        accepted, rejected = LEDGER.alias("accepted"), LEDGER.alias("rejected")
        query = _loaded(accepted, rejected, accepted.c.rows, rejected.c.rows).where(
            _still_there(accepted, TABELA_COMPRAS), _still_there(rejected, COMPRAS_REJEITADAS)
        )
        if newest_known is not None:
            query = query.where(accepted.c.partition.in_(_committed_since(newest_known)))
        return self._read(query.where(_is_one_of(lots, accepted.c.partition)))

    def loaded_names(self, checked_ratio: float) -> set[str]:
        """Return the names of the loaded batches; check a random share of them for rows that still exist.

        Reading 100,000 ledger entries takes 0.125 s. Checking that each has rows takes seven times as long, as each
        is on another page of the key's index.
        """
        accepted, rejected = LEDGER.alias("accepted"), LEDGER.alias("rejected")
        skipped = sa.func.random() >= checked_ratio
        query = _committed(sa.select(accepted.c.partition.label("lote")), accepted, rejected).where(
            sa.or_(skipped, _still_there(accepted, TABELA_COMPRAS)),
            sa.or_(skipped, _still_there(rejected, COMPRAS_REJEITADAS)),
        )
        return {row.lote for row in self._rows(query)}

    def counted_lots(self, lots: Sequence[str] | None = None) -> dict[str, LotCount]:
        """Return the committed batches, or those among `lots`, with rows counted in the tables."""
        accepted, rejected = LEDGER.alias("accepted"), LEDGER.alias("rejected")
        query = _loaded(
            accepted, rejected, _count(TABELA_COMPRAS, accepted), _count(COMPRAS_REJEITADAS, accepted)
        )
        return self._read(query.where(_is_one_of(lots, accepted.c.partition)))

    def gaps_and_duplicates(self, lots: Sequence[str] | None = None) -> Sequence[tuple[str, int, int]]:
        """Return `(lote, gaps, duplicates)` for each batch whose row numbers, over both tables, are not 1, 2, 3, ..."""
        accepted, rejected = TABELA_COMPRAS.c, COMPRAS_REJEITADAS.c
        counted = sa.union_all(
            *(
                sa.select(
                    columns.lote, sa.func.count().label("rows"), sa.func.max(columns.linha).label("last")
                )
                .where(_is_one_of(lots, columns.lote))
                .group_by(columns.lote)
                for columns in (accepted, rejected)
            )
        ).subquery()
        # Within a table the primary key excludes them.
        duplicated = (
            sa.select(accepted.lote, sa.func.count().label("rows"))
            .where(accepted.lote == rejected.lote, accepted.linha == rejected.linha)
            .where(_is_one_of(lots, rejected.lote))
            .group_by(accepted.lote)
            .subquery()
        )
        duplicates = sa.func.coalesce(sa.func.max(duplicated.c.rows), 0)
        gaps = sa.func.max(counted.c.last) - sa.func.sum(counted.c.rows) + duplicates
        query = (
            sa.select(counted.c.lote, gaps, duplicates)
            .outerjoin(duplicated, duplicated.c.lote == counted.c.lote)
            .group_by(counted.c.lote)
            .having(sa.or_(gaps != 0, duplicates != 0))
            .order_by(counted.c.lote)
        )
        with self._engine.connect() as connection:
            return [(lote, int(gap), int(duplicate)) for lote, gap, duplicate in connection.execute(query)]

    def differences_from_contract(self) -> list[str]:
        """Return the differences between the tables' columns and the contract, one sentence each."""
        with self._engine.connect() as connection:
            return [
                difference
                for table in (TABELA_COMPRAS, COMPRAS_REJEITADAS)
                for difference in _differences(connection, table)
            ]

    def _read(self, query: sa.Select[Any]) -> dict[str, LotCount]:
        return {row.lote: LotCount(*row) for row in self._rows(query.order_by("lote"))}

    def _rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[*tuple[Any, ...]]]:
        """Return the query's rows; none if a table is missing."""
        with self._engine.connect() as connection:
            inspector = sa.inspect(connection)
            if not all(map(inspector.has_table, (LEDGER.name, TABELA_COMPRAS.name, COMPRAS_REJEITADAS.name))):
                return []
            return connection.execute(query).all()


def first_seen(connection: sa.Connection, lote: str) -> dict[tuple[int, str], datetime]:
    """Return when each rejected row of a batch was first rejected, by row number and SHA-256."""
    if not sa.inspect(connection).has_table(COMPRAS_REJEITADAS.name):
        return {}
    table = COMPRAS_REJEITADAS.c
    query = sa.select(table.linha, table.original_sha256, table.first_seen).where(table.lote == lote)
    return {(linha, digest): seen for linha, digest, seen in connection.execute(query)}


def _loaded(
    accepted: _Entry,
    rejected: _Entry,
    loaded_rows: sa.ColumnElement[int],
    rejected_rows: sa.ColumnElement[int],
) -> sa.Select[Any]:
    counts = sa.select(
        accepted.c.partition.label("lote"),
        accepted.c.source_rows,
        loaded_rows.label("loaded"),
        rejected_rows.label("rejected"),
        sa.func.greatest(accepted.c.committed_at, rejected.c.committed_at),
        accepted.c.digest,
        accepted.c.run_id,
    )
    return _committed(counts, accepted, rejected)


def _committed(query: sa.Select[Any], accepted: _Entry, rejected: _Entry) -> sa.Select[Any]:
    """Select from batches whose slices were both committed from the same raw file."""
    same_lot = sa.and_(
        accepted.c.partition == rejected.c.partition,
        accepted.c.digest == rejected.c.digest,
        accepted.c.asset == TABELA_COMPRAS.name,
        rejected.c.asset == COMPRAS_REJEITADAS.name,
    )
    return query.join_from(accepted, rejected, same_lot)


def _committed_since(newest_known: datetime) -> sa.Select[Any]:
    """Select the batches with a slice that may have been committed since.

    As a subquery it is evaluated before the lookup of rows; as a condition on both slices it would come after.
    """
    since = sa.func.least(newest_known, sa.func.now()) - _LONGEST_COMMIT
    of_a_lot = LEDGER.c.asset.in_([TABELA_COMPRAS.name, COMPRAS_REJEITADAS.name])
    return sa.select(LEDGER.c.partition).where(of_a_lot, LEDGER.c.committed_at >= since)


def _is_one_of(lots: Sequence[str] | None, column: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a column has one of `lots` (one array parameter, so any number), or any value."""
    if lots is None:
        return sa.true()
    return column == sa.any_(sa.literal(list(lots), ARRAY(sa.Text)))


def _count(table: sa.Table, entry: _Entry) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).where(table.c.lote == entry.c.partition).scalar_subquery()


def _still_there(entry: _Entry, table: sa.Table) -> sa.ColumnElement[bool]:
    # Not EXISTS: in an OR, PostgreSQL may scan the whole table for it.
    a_row = sa.select(table.c.lote).where(table.c.lote == entry.c.partition).limit(1).scalar_subquery()
    return sa.or_(entry.c.rows == 0, a_row.is_not(None))


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
