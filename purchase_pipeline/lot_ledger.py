"""What the database says of each lot: received, loaded, rejected. It is the truth that all else is held against."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.ledger import ledger_table
from purchase_pipeline.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS

_Entry = sa.FromClause
LEDGER = ledger_table()


class LotCount(NamedTuple):
    """Rows of one lot."""

    lote: str
    received: int
    loaded: int
    rejected: int
    committed_at: datetime

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

    def loaded_lots(self, lots: Sequence[str] | None = None) -> dict[str, LotCount]:
        """Return the loaded lots, or which of some are, with the counts that the ledger states: no table is counted."""
        accepted, rejected = LEDGER.alias("accepted"), LEDGER.alias("rejected")
        query = _loaded(accepted, rejected, accepted.c.rows, rejected.c.rows).where(
            _still_there(accepted, TABELA_COMPRAS), _still_there(rejected, COMPRAS_REJEITADAS)
        )
        return self._read(query.where(_is_one_of(lots, accepted.c.partition)))

    def counted_lots(self, lots: Sequence[str] | None = None) -> dict[str, LotCount]:
        """Return the committed lots, or some of them, with rows counted in the tables themselves."""
        accepted, rejected = LEDGER.alias("accepted"), LEDGER.alias("rejected")
        query = _loaded(
            accepted, rejected, _count(TABELA_COMPRAS, accepted), _count(COMPRAS_REJEITADAS, accepted)
        )
        return self._read(query.where(_is_one_of(lots, accepted.c.partition)))

    def gaps_and_doubles(self, lots: Sequence[str] | None = None) -> Sequence[tuple[str, int, int]]:
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
        with self._engine.connect() as connection:
            inspector = sa.inspect(connection)
            if not all(map(inspector.has_table, (LEDGER.name, TABELA_COMPRAS.name, COMPRAS_REJEITADAS.name))):
                return {}
            return {row.lote: LotCount(*row) for row in connection.execute(query)}


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
    return (
        sa.select(
            accepted.c.partition.label("lote"),
            accepted.c.source_rows,
            loaded_rows.label("loaded"),
            rejected_rows.label("rejected"),
            sa.func.greatest(accepted.c.committed_at, rejected.c.committed_at),
        )
        .join_from(
            accepted,
            rejected,
            sa.and_(
                accepted.c.partition == rejected.c.partition,
                accepted.c.digest == rejected.c.digest,
                accepted.c.asset == TABELA_COMPRAS.name,
                rejected.c.asset == COMPRAS_REJEITADAS.name,
            ),
        )
        .order_by(accepted.c.partition)
    )


def _is_one_of(lots: Sequence[str] | None, column: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a column has one of these lots, which may be more than a query's parameters; or any."""
    if lots is None:
        return sa.true()
    return column == sa.any_(sa.literal(list(lots), ARRAY(sa.Text)))


def _count(table: sa.Table, entry: _Entry) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).where(table.c.lote == entry.c.partition).scalar_subquery()


def _still_there(entry: _Entry, table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.or_(entry.c.rows == 0, sa.exists().where(table.c.lote == entry.c.partition))


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
