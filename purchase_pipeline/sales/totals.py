"""Sums over the purchases, their aggregates and the marts, which must agree."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.ingest.ledger import LEDGER
from purchase_pipeline.purchases import TABELA_COMPRAS
from purchase_pipeline.sales.queries import number_of_customers
from purchase_pipeline.sales.tables import CUSTOMERS_BY_AGE_BAND, SALES_BY_LOT

_PURCHASE = TABELA_COMPRAS.c
_LOT = SALES_BY_LOT.c


class Totals(NamedTuple):
    """Number of purchases, and their revenue."""

    purchases: int
    revenue: Decimal


class LotTotals(NamedTuple):
    """The purchases of a batch.

    Attributes:
        lote: the batch.
        purchases: their number.
        revenue: the sum of their prices.
        agrees: every cut of the batch's aggregates has the same totals.
    """

    lote: str
    purchases: int
    revenue: Decimal
    agrees: bool


class SalesTotals:
    """Reads the totals of the tables of sales."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def of_tables(self, tables: Iterable[sa.Table]) -> dict[str, set[Totals]]:
        """Return the totals of each table, by name, from one snapshot; of a table with several cuts, those of each."""
        with self._engine.connect().execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        ) as connection:
            return {
                table.name: {Totals(*row) for row in connection.execute(_totals_of(table))}
                for table in dict.fromkeys(tables)
            }

    def of_lots(self, lots: Sequence[str] | None = None) -> list[LotTotals]:
        """Return the aggregated batches, or those among `lots`, without those that were loaded again since."""
        with self._engine.connect() as connection:
            return [LotTotals(*row) for row in connection.execute(_totals_of_lots(lots))]

    def customers_in_bands(self) -> int:
        """Return how many customers the age bands have together."""
        return self._number(sa.select(sa.func.coalesce(sa.func.sum(CUSTOMERS_BY_AGE_BAND.c.customers), 0)))

    def customers(self) -> int:
        """Return how many customers there are among the purchases."""
        return self._number(number_of_customers())

    def is_superseded(self, table: sa.Table, source: sa.Table) -> bool:
        """Return whether a table's source was written after the table."""
        written = {name: _newest_commit(name).scalar_subquery() for name in (table.name, source.name)}
        with self._engine.connect() as connection:
            newer: bool | None = connection.scalar(sa.select(written[source.name] > written[table.name]))
        return bool(newer)

    def _number(self, query: sa.Select[Any]) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())


def _totals_of(table: sa.Table) -> sa.Select[Any]:
    if table is TABELA_COMPRAS:
        return sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(_PURCHASE.price), 0))
    sums = (sa.func.coalesce(sa.func.sum(table.c[name]), 0) for name in ("purchases", "revenue"))
    query = sa.select(*sums)
    return query.group_by(table.c.cut) if "cut" in table.c else query


def _totals_of_lots(lots: Sequence[str] | None) -> sa.Select[Any]:
    lot, revenue, wanted = _current_lots(lots), sa.func.sum(_PURCHASE.price), sa.func.count()
    loaded = (
        sa.select(_PURCHASE.lote, wanted.label("purchases"), revenue.label("revenue"))
        .where(_PURCHASE.lote.in_(lot))
        .group_by(_PURCHASE.lote)
        .subquery("loaded")
    )
    cut = (
        sa.select(
            _LOT.lote,
            sa.func.sum(_LOT.purchases).label("purchases"),
            sa.func.sum(_LOT.revenue).label("revenue"),
        )
        .where(_LOT.lote.in_(lot))
        .group_by(_LOT.lote, _LOT.cut)
        .subquery("cut")
    )
    agrees = sa.and_(
        loaded.c.purchases.is_not_distinct_from(cut.c.purchases),
        loaded.c.revenue.is_not_distinct_from(cut.c.revenue),
    )
    lote = sa.func.coalesce(loaded.c.lote, cut.c.lote)
    return (
        sa.select(
            lote,
            sa.func.coalesce(sa.func.max(loaded.c.purchases), 0),
            sa.func.coalesce(sa.func.max(loaded.c.revenue), 0),
            sa.func.bool_and(agrees),
        )
        .select_from(sa.join(loaded, cut, loaded.c.lote == cut.c.lote, full=True))
        .group_by(lote)
        .order_by(lote)
    )


def _current_lots(lots: Sequence[str] | None) -> sa.Select[Any]:
    """Select the batches whose purchases have not been written since they were aggregated."""
    loaded, aggregated = LEDGER.alias("loaded"), LEDGER.alias("aggregated")
    same_lot = sa.and_(loaded.c.asset == TABELA_COMPRAS.name, loaded.c.partition == aggregated.c.partition)
    chosen = (
        sa.true() if lots is None else aggregated.c.partition == sa.any_(sa.literal(lots, ARRAY(sa.Text)))
    )
    return (
        sa.select(aggregated.c.partition)
        .join_from(aggregated, loaded, same_lot)
        .where(aggregated.c.asset == SALES_BY_LOT.name, loaded.c.committed_at <= aggregated.c.committed_at)
        .where(chosen)
    )


def _newest_commit(asset: str) -> sa.Select[Any]:
    return sa.select(sa.func.max(LEDGER.c.committed_at)).where(LEDGER.c.asset == asset)
