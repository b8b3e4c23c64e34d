"""What the database says of each lot: received, loaded, rejected. It is the truth that all else is held against."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.ingest.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.postgres.slices.ledger import ledger_table

_Entry = sa.FromClause
LEDGER = ledger_table()
# An entry tells when it was written, by the server's clock. It is seen once its transaction has ended, and one with a
# later moment may be seen before it; no run takes longer than a quarter of an hour. And a clock can be set back.
_LONGEST_COMMIT = timedelta(hours=1)


class LotCount(NamedTuple):
    """Rows of one lot, the digest of the raw lot that they are of, and the run that loaded them."""

    lote: str
    received: int
    loaded: int
    rejected: int
    committed_at: datetime
    digest: str
    run_id: str

    @property
    def conserved(self) -> bool:
        """True when every row received was either loaded or rejected."""
        return self.received == self.loaded + self.rejected


class LotTotals(NamedTuple):
    """Rows of several lots."""

    received: int
    loaded: int
    rejected: int


def totals(lots: Iterable[LotCount]) -> LotTotals:
    """Add lots up."""
    known = list(lots)
    return LotTotals(*(sum(getattr(lot, name) for lot in known) for name in LotTotals._fields))


class LotLedger:
    """Reads the ledger, and the tables beside it.

    A lot counts as loaded when both its slices, accepted and rejected rows, were committed from the same raw lot, and
    their rows are still there: a lot that somebody wiped is missing again.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def answers(self) -> bool:
        """Return true once the database has answered."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.true())).scalar_one()

    def loaded_lots(
        self, lots: Sequence[str] | None = None, *, newest_known: datetime | None = None
    ) -> dict[str, LotCount]:
        """Return the loaded lots, or which of some are, with the counts that the ledger states: no table is counted.

        Who knows all lots up to a commit, and says which, is told of those that may have come since.
        """
        accepted, rejected = LEDGER.alias("accepted"), LEDGER.alias("rejected")
        query = _loaded(accepted, rejected, accepted.c.rows, rejected.c.rows).where(
            _still_there(accepted, TABELA_COMPRAS), _still_there(rejected, COMPRAS_REJEITADAS)
        )
        if newest_known is not None:
            query = query.where(accepted.c.partition.in_(_committed_since(newest_known)))
        return self._read(query.where(_is_one_of(lots, accepted.c.partition)))

    def loaded_names(self, share: float) -> set[str]:
        """Return the names of the loaded lots; that rows are still there is looked up for a share of them, by chance.

        The ledger alone tells of 100,000 lots in an eighth of a second. To find a row of each takes seven times as
        long, however it is asked: each has a page of its own in the index of the key.
        """
        accepted, rejected = LEDGER.alias("accepted"), LEDGER.alias("rejected")
        passed_over = sa.func.random() >= share
        query = _committed(sa.select(accepted.c.partition.label("lote")), accepted, rejected).where(
            sa.or_(passed_over, _still_there(accepted, TABELA_COMPRAS)),
            sa.or_(passed_over, _still_there(rejected, COMPRAS_REJEITADAS)),
        )
        return {row.lote for row in self._rows(query)}

    def counted_lots(self, lots: Sequence[str] | None = None) -> dict[str, LotCount]:
        """Return the committed lots, or some of them, with rows counted in the tables themselves."""
        accepted, rejected = LEDGER.alias("accepted"), LEDGER.alias("rejected")
        query = _loaded(
            accepted, rejected, _count(TABELA_COMPRAS, accepted), _count(COMPRAS_REJEITADAS, accepted)
        )
        return self._read(query.where(_is_one_of(lots, accepted.c.partition)))

    def gaps_and_duplicates(self, lots: Sequence[str] | None = None) -> Sequence[tuple[str, int, int]]:
        """Return `(lote, gaps, doubles)` for each lot whose positions, over both tables, are not 1, 2, 3, ..."""
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
        # Within one table the key allows none.
        doubled = (
            sa.select(accepted.lote, sa.func.count().label("rows"))
            .where(accepted.lote == rejected.lote, accepted.linha == rejected.linha)
            .where(_is_one_of(lots, rejected.lote))
            .group_by(accepted.lote)
            .subquery()
        )
        doubles = sa.func.coalesce(sa.func.max(doubled.c.rows), 0)
        gaps = sa.func.max(counted.c.last) - sa.func.sum(counted.c.rows) + doubles
        query = (
            sa.select(counted.c.lote, gaps, doubles)
            .outerjoin(doubled, doubled.c.lote == counted.c.lote)
            .group_by(counted.c.lote)
            .having(sa.or_(gaps != 0, doubles != 0))
            .order_by(counted.c.lote)
        )
        with self._engine.connect() as connection:
            return [(lote, int(gap), int(double)) for lote, gap, double in connection.execute(query)]

    def differences_from_contract(self) -> list[str]:
        """Say, a sentence each, where the tables' columns differ from the contract's."""
        with self._engine.connect() as connection:
            return [
                difference
                for table in (TABELA_COMPRAS, COMPRAS_REJEITADAS)
                for difference in _differences(connection, table)
            ]

    def _read(self, query: sa.Select[Any]) -> dict[str, LotCount]:
        return {row.lote: LotCount(*row) for row in self._rows(query.order_by("lote"))}

    def _rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[*tuple[Any, ...]]]:
        """Return what a query finds: nothing where a table is missing."""
        with self._engine.connect() as connection:
            inspector = sa.inspect(connection)
            if not all(map(inspector.has_table, (LEDGER.name, TABELA_COMPRAS.name, COMPRAS_REJEITADAS.name))):
                return []
            return connection.execute(query).all()


def first_seen(connection: sa.Connection, lote: str) -> dict[tuple[int, str], datetime]:
    """Return when each rejected row of a lot was rejected first, by its position and its SHA-256."""
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


def _committed(told: sa.Select[Any], accepted: _Entry, rejected: _Entry) -> sa.Select[Any]:
    """Select from the lots of which both slices were committed, from the same raw lot."""
    same_lot = sa.and_(
        accepted.c.partition == rejected.c.partition,
        accepted.c.digest == rejected.c.digest,
        accepted.c.asset == TABELA_COMPRAS.name,
        rejected.c.asset == COMPRAS_REJEITADAS.name,
    )
    return told.join_from(accepted, rejected, same_lot)


def _committed_since(newest_known: datetime) -> sa.Select[Any]:
    """Select the lots of which a slice may have been committed since that moment.

    They are found before their rows are looked for: as a condition on the two slices it would come after.
    """
    since = sa.func.least(newest_known, sa.func.now()) - _LONGEST_COMMIT
    of_a_lot = LEDGER.c.asset.in_([TABELA_COMPRAS.name, COMPRAS_REJEITADAS.name])
    return sa.select(LEDGER.c.partition).where(of_a_lot, LEDGER.c.committed_at >= since)


def _is_one_of(lots: Sequence[str] | None, column: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a column has one of these lots, which may be more than a query's parameters; or any."""
    if lots is None:
        return sa.true()
    return column == sa.any_(sa.literal(list(lots), ARRAY(sa.Text)))


def _count(table: sa.Table, entry: _Entry) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).where(table.c.lote == entry.c.partition).scalar_subquery()


def _still_there(entry: _Entry, table: sa.Table) -> sa.ColumnElement[bool]:
    # Not EXISTS: in an OR, PostgreSQL may read a whole table for it, to look up a few lots.
    a_row = sa.select(table.c.lote).where(table.c.lote == entry.c.partition).limit(1).scalar_subquery()
    return sa.or_(entry.c.rows == 0, a_row.is_not(None))


def _differences(connection: sa.Connection, declared: sa.Table) -> list[str]:
    inspector = sa.inspect(connection)
    if not inspector.has_table(declared.name):
        return [f"{declared.name} does not exist"]
    wanted = {column.name: _as_text(connection, column.type, column.nullable) for column in declared.columns}
    found = {
        column["name"]: _as_text(connection, column["type"], column["nullable"])
        for column in inspector.get_columns(declared.name)
    }
    return [
        f"{declared.name}.{name}: the contract has {wanted.get(name, 'no such column')}, "
        f"the table {found.get(name, 'no such column')}"
        for name in wanted.keys() | found.keys()
        if wanted.get(name) != found.get(name)
    ]


def _as_text(connection: sa.Connection, kind: sa.types.TypeEngine[Any], nullable: bool | None) -> str:  # noqa: FBT001
    return f"{kind.compile(connection.dialect)}{'' if nullable else ' NOT NULL'}"
