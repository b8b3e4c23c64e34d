"""Queries of the sales marts. PostgreSQL computes and stores them: no purchase leaves the server.

Each batch is aggregated once, when it is loaded, by every dimension that the marts need; the marts sum these
aggregates, so their cost depends on the number of days and batches, not of purchases. Customers cannot be summed (one
may buy in many batches), so their mart reads the purchases.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from purchase_pipeline.purchases import TABELA_COMPRAS
from purchase_pipeline.sales.tables import SALES_BY_LOT

MOST_RANKED = 100
_AGES = (0, 18, 25, 35, 45, 55, 65)
_OLDEST = 999

_PURCHASE = TABELA_COMPRAS.c
_LOT = SALES_BY_LOT.c
_MONTH = sa.cast(sa.func.date_trunc("month", sa.cast(_PURCHASE.date_purchase, sa.TIMESTAMP)), sa.Date)

_CUTS: dict[str, dict[str, sa.ColumnElement[Any]]] = {
    "day": {"day": _PURCHASE.date_purchase},
    "month and category": {"month": _MONTH, "category": _PURCHASE.category},
    "state": {"state": _PURCHASE.state},
    "store": {"store": _PURCHASE.store},
    "payment type": {"payment_type": _PURCHASE.payment_type},
    "product": {
        "product": _PURCHASE.product,
        "brand": _PURCHASE.brand,
        "category": _PURCHASE.category,
    },
}
"""The cuts (groupings): for each, its columns in `sales_by_lot` and their expressions over `tabela_compras`."""


def sums_of_lots(lots: Sequence[str]) -> sa.SelectBase:
    """Return the `sales_by_lot` rows of some batches: one for each batch, cut and combination of its columns.

    GROUPING SETS would read the batches once but sort them for each cut: at 500,000 purchases, with the default
    `work_mem`, that takes three times as long.
    """
    return sa.union_all(*(_cut(name, columns, lots) for name, columns in _CUTS.items()))


def _cut(name: str, columns: Mapping[str, sa.ColumnElement[Any]], lots: Sequence[str]) -> sa.Select[Any]:
    every_name = dict.fromkeys(name for each in _CUTS.values() for name in each)
    return (
        sa.select(
            _PURCHASE.lote,
            sa.literal(name).label("cut"),
            *(columns.get(each, sa.cast(sa.null(), _LOT[each].type)).label(each) for each in every_name),
            *_sums(sa.func.count(), sa.func.sum(_PURCHASE.price)),
        )
        .where(_PURCHASE.lote.in_(lots))
        .group_by(_PURCHASE.lote, *columns.values())
    )


def sums_by(*columns: sa.Column[Any]) -> sa.Select[Any]:
    """Return purchases and revenue of all batches by these columns, which must be in one cut."""
    return sa.select(*columns, *_totals()).where(_LOT.cut == _cut_of(columns)).group_by(*columns)


def ranked(*columns: sa.Column[Any]) -> sa.SelectBase:
    """Return the top `MOST_RANKED` by revenue; ties are ordered by name."""
    revenue = sa.func.sum(_LOT.revenue)
    rank = sa.cast(sa.func.row_number().over(order_by=[revenue.desc(), *columns]), sa.Integer)
    ranks = sums_by(*columns).with_only_columns(rank.label("rank"), *columns, *_totals())
    return ranks.order_by("rank").limit(MOST_RANKED)


def customers_by_age_band() -> sa.SelectBase:
    """Return customers and their purchases by age on the day of the newest purchase."""
    newest = sa.select(sa.func.max(_PURCHASE.date_purchase)).scalar_subquery()
    customers = (
        sa.select(
            sa.extract("year", sa.func.age(newest, _PURCHASE.birthday_client)).label("age"),
            *_sums(sa.func.count(), sa.func.sum(_PURCHASE.price)),
        )
        .group_by(_PURCHASE.client_name, _PURCHASE.client_lastname, _PURCHASE.birthday_client)
        .subquery("customers")
    )
    band = _age_bands()
    return (
        sa.select(
            band.c.age_band,
            band.c.from_age,
            sa.func.count().label("customers"),
            *_sums(sa.func.sum(customers.c.purchases), sa.func.sum(customers.c.revenue)),
        )
        .join_from(customers, band, customers.c.age.between(band.c.from_age, band.c.to_age))
        .group_by(band.c.age_band, band.c.from_age)
    )


def _age_bands() -> sa.FromClause:
    bands = [(f"{first}-{after - 1}", first, after - 1) for first, after in pairwise(_AGES)]
    oldest = _AGES[-1]
    columns: list[sa.Column[Any]] = [
        sa.Column("age_band", sa.Text),
        sa.Column("from_age", sa.Integer),
        sa.Column("to_age", sa.Integer),
    ]
    return sa.values(*columns, name="bands").data([*bands, (f"{oldest}+", oldest, _OLDEST)])


def number_of_customers() -> sa.Select[Any]:
    """Return how many customers there are among the purchases; this reads them all."""
    customer = sa.select(_PURCHASE.client_name, _PURCHASE.client_lastname, _PURCHASE.birthday_client)
    return sa.select(sa.func.count()).select_from(customer.distinct().subquery())


def _cut_of(columns: Sequence[sa.Column[Any]]) -> str:
    """Return a cut that has these columns; each cut counts every purchase once."""
    names = {column.name for column in columns}
    return next(cut for cut, own in _CUTS.items() if names <= own.keys())


def _totals() -> list[sa.ColumnElement[Any]]:
    return _sums(sa.func.sum(_LOT.purchases), sa.func.sum(_LOT.revenue))


def _sums(purchases: sa.ColumnElement[Any], revenue: sa.ColumnElement[Any]) -> list[sa.ColumnElement[Any]]:
    return [sa.cast(purchases, sa.BigInteger).label("purchases"), revenue.label("revenue")]
