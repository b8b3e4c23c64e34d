"""The figures of the sales report, as read from the marts, the ledger and the quarantine.

Nothing is formatted here.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

import sqlalchemy as sa

from purchase_pipeline.ingest.ledger import Ledger, LoadedPartition
from purchase_pipeline.ingest.quarantine import Quarantine, RejectGroup
from purchase_pipeline.purchases import PURCHASES
from purchase_pipeline.sales.report.chance import Prices
from purchase_pipeline.sales.tables import (
    CUSTOMERS_BY_AGE_BAND,
    CUSTOMERS_BY_MONTH_AND_STORE,
    REVENUE_BY_DAY,
    REVENUE_BY_MONTH_AND_CATEGORY,
    REVENUE_BY_PAYMENT_TYPE,
    REVENUE_BY_STATE,
    REVENUE_BY_STORE,
    SALES_BY_MONTH_AND_STORE,
    TOP_BRANDS,
    TOP_PRODUCTS,
)


class DaySales(NamedTuple):
    """A row of `revenue_by_day`."""

    day: date
    purchases: int
    revenue: Decimal


class MonthSales(NamedTuple):
    """A row of `revenue_by_month_and_category`."""

    month: date
    category: str
    purchases: int
    revenue: Decimal


class NamedSales(NamedTuple):
    """Sales of one state, store or payment type."""

    name: str
    purchases: int
    revenue: Decimal


class AgeBand(NamedTuple):
    """A row of `customers_by_age_band`."""

    age_band: str
    from_age: int
    customers: int
    purchases: int
    revenue: Decimal


class TopProduct(NamedTuple):
    """A row of `top_products`."""

    rank: int
    product: str
    brand: str
    category: str
    purchases: int
    revenue: Decimal


class TopBrand(NamedTuple):
    """A row of `top_brands`."""

    rank: int
    brand: str
    purchases: int
    revenue: Decimal


class CustomerSales(NamedTuple):
    """A row of `customers_by_month_and_store`."""

    month: date
    store: int
    age_band: str
    from_age: int
    returning: bool
    squares: Decimal
    purchases: int
    revenue: Decimal


class MonthAndStoreSales(NamedTuple):
    """A row of `sales_by_month_and_store`: of the columns after `store`, those of its cut are set."""

    cut: str
    month: date
    store: int
    day: date | None
    product: str | None
    brand: str | None
    category: str | None
    state: str | None
    payment_type: str | None
    purchases: int
    revenue: Decimal


class Period(NamedTuple):
    """The first and the last day with purchases."""

    first: date
    last: date


@dataclass(frozen=True)
class SalesFigures:
    """All figures of the report: days, months, bands and ranks in natural order, the rest by revenue."""

    days: Sequence[DaySales] = ()
    months: Sequence[MonthSales] = ()
    states: Sequence[NamedSales] = ()
    stores: Sequence[NamedSales] = ()
    payments: Sequence[NamedSales] = ()
    age_bands: Sequence[AgeBand] = ()
    products: Sequence[TopProduct] = ()
    brands: Sequence[TopBrand] = ()
    customer_sales: Sequence[CustomerSales] = ()
    by_month_and_store: Sequence[MonthAndStoreSales] = ()
    lots: Sequence[LoadedPartition] = ()
    rejects: Sequence[RejectGroup] = ()

    @property
    def period(self) -> Period | None:
        """First and last day with purchases; None if there are none."""
        return Period(self.days[0].day, self.days[-1].day) if self.days else None

    @property
    def newest_commit(self) -> datetime | None:
        """When the newest batch was committed."""
        return max((lot.committed_at for lot in self.lots), default=None)

    @cached_property
    def revenue(self) -> Decimal:
        """Revenue of all days."""
        return sum((day.revenue for day in self.days), Decimal(0))

    @cached_property
    def purchases(self) -> int:
        """Purchases of all days."""
        return sum(day.purchases for day in self.days)

    @cached_property
    def categories(self) -> list[NamedSales]:
        """Sums of the months of each category, highest revenue first."""
        purchases, revenue = defaultdict[str, int](int), defaultdict[str, Decimal](Decimal)
        for row in self.months:
            purchases[row.category] += row.purchases
            revenue[row.category] += row.revenue
        return _ordered(NamedSales(name, purchases[name], revenue[name]) for name in revenue)

    @cached_property
    def prices(self) -> Prices:
        """What the chance of a difference is estimated from."""
        squares = sum((row.squares for row in self.customer_sales), Decimal(0))
        return Prices(self.purchases, float(self.revenue), float(squares))

    def prices_of(self, category: str) -> Prices:
        """Return the prices of a category: at least as dispersed as all, or as those of its top products."""
        own = [row for row in self.products if row.category == category]
        purchases, revenue = sum(row.purchases for row in own), float(sum(row.revenue for row in own))
        squares = sum(float(row.revenue) ** 2 / row.purchases for row in own)
        usual = revenue * self.prices.squares / (self.prices.revenue or 1)
        return Prices(purchases, revenue, max(squares, usual)) if revenue else self.prices

    @cached_property
    def customers(self) -> int:
        """Distinct customers: each is in one age band."""
        return sum(band.customers for band in self.age_bands)


def read_sales_figures(engine: sa.Engine) -> SalesFigures:
    """Read the marts from one snapshot, plus batches and rejects. Tables that do not exist yet count as empty."""
    # Before opening the connection below: never wait for a second connection while holding one.
    lots, rejects = (
        list(Ledger(engine, PURCHASES).counted().values()),
        Quarantine(engine, PURCHASES).grouped("reason"),
    )
    with engine.connect().execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    ) as connection:
        return SalesFigures(
            days=[DaySales._make(row) for row in _rows(connection, REVENUE_BY_DAY, "day")],
            months=[
                MonthSales._make(row)
                for row in _rows(connection, REVENUE_BY_MONTH_AND_CATEGORY, "month", "category")
            ],
            states=_by_revenue(connection, REVENUE_BY_STATE),
            stores=_by_revenue(connection, REVENUE_BY_STORE),
            payments=_by_revenue(connection, REVENUE_BY_PAYMENT_TYPE),
            age_bands=[AgeBand._make(row) for row in _rows(connection, CUSTOMERS_BY_AGE_BAND, "from_age")],
            products=[TopProduct._make(row) for row in _rows(connection, TOP_PRODUCTS, "rank")],
            brands=[TopBrand._make(row) for row in _rows(connection, TOP_BRANDS, "rank")],
            customer_sales=[
                CustomerSales._make(row)
                for row in _rows(
                    connection, CUSTOMERS_BY_MONTH_AND_STORE, "month", "store", "from_age", "returning"
                )
            ],
            by_month_and_store=[
                MonthAndStoreSales._make(row) for row in _rows(connection, SALES_BY_MONTH_AND_STORE)
            ],
            lots=lots,
            rejects=rejects,
        )


def _by_revenue(connection: sa.Connection, table: sa.Table) -> list[NamedSales]:
    return _ordered(NamedSales(str(row[0]), row.purchases, row.revenue) for row in _rows(connection, table))


def _ordered(rows: Iterable[NamedSales]) -> list[NamedSales]:
    return sorted(rows, key=lambda row: (-row.revenue, row.name))


def _rows(connection: sa.Connection, table: sa.Table, *order: str) -> Sequence[sa.Row[Any]]:
    if not sa.inspect(connection).has_table(table.name):
        return []
    return connection.execute(sa.select(table).order_by(*(table.columns[name] for name in order))).all()
