"""Queries of the sales marts. PostgreSQL computes and stores them: no purchase leaves the server.

Each batch is aggregated once, when it is loaded, by every dimension that the marts need; the marts sum these
aggregates, so their cost depends on the number of days and batches, not of purchases. Two marts read the purchases:
customers cannot be summed (one may buy in many batches), and by month and store a batch would have about as many sums
as purchases.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from purchase_pipeline.purchases import TABELA_COMPRAS
from purchase_pipeline.sales.tables import CUSTOMERS_BY_MONTH_AND_STORE, SALES_BY_LOT

MOST_RANKED = 100
_AGES = (0, 18, 25, 35, 45, 55, 65)
_OLDEST = 999

_PURCHASE = TABELA_COMPRAS.c
_LOT = SALES_BY_LOT.c
_CUSTOMERS = CUSTOMERS_BY_MONTH_AND_STORE.c
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

_FILTERED_CUTS = ("day", "product", "state", "payment type")
"""The cuts that the report filters by month and store."""


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
            *_set_or_null(columns, every_name),
            *_sums(sa.func.count(), sa.func.sum(_PURCHASE.price)),
        )
        .where(_PURCHASE.lote.in_(lots))
        .group_by(_PURCHASE.lote, *columns.values())
    )


def _set_or_null(
    columns: Mapping[str, sa.ColumnElement[Any]], names: Iterable[str]
) -> list[sa.ColumnElement[Any]]:
    return [columns.get(name, sa.cast(sa.null(), _LOT[name].type)).label(name) for name in names]


def sums_by(*columns: sa.Column[Any]) -> sa.Select[Any]:
    """Return purchases and revenue of all batches by these columns, which must be in one cut."""
    return sa.select(*columns, *_totals()).where(_LOT.cut == _cut_of(columns)).group_by(*columns)


def ranked(*columns: sa.Column[Any]) -> sa.SelectBase:
    """Return the top `MOST_RANKED` by revenue; ties are ordered by name."""
    revenue = sa.func.sum(_LOT.revenue)
    rank = sa.cast(sa.func.row_number().over(order_by=[revenue.desc(), *columns]), sa.Integer)
    ranks = sums_by(*columns).with_only_columns(rank.label("rank"), *columns, *_totals())
    return ranks.order_by("rank").limit(MOST_RANKED)


def sums_by_month_and_store() -> sa.SelectBase:
    """Return purchases and revenue by month, store and, in turn, each of four columns: what the report filters by."""
    every_name = dict.fromkeys(name for cut in _FILTERED_CUTS for name in _CUTS[cut])
    return sa.union_all(
        *(
            sa.select(
                sa.literal(cut).label("cut"),
                _MONTH.label("month"),
                _PURCHASE.store,
                *_set_or_null(_CUTS[cut], every_name),
                *_sums(sa.func.count(), sa.func.sum(_PURCHASE.price)),
            ).group_by(_MONTH, _PURCHASE.store, *_CUTS[cut].values())
            for cut in _FILTERED_CUTS
        )
    )


def customers_by_month_and_store() -> sa.SelectBase:
    """Return purchases by the customer's age on the day of the newest purchase, and whether they had bought before."""
    newest = sa.select(sa.func.max(_PURCHASE.date_purchase)).scalar_subquery()
    customer = (_PURCHASE.birthday_client, _PURCHASE.client_lastname, _PURCHASE.client_name)
    order = (_PURCHASE.date_purchase, _PURCHASE.lote, _PURCHASE.linha)
    numbered = sa.select(
        _MONTH.label("month"),
        _PURCHASE.store,
        _PURCHASE.price,
        sa.extract("year", sa.func.age(newest, _PURCHASE.birthday_client)).label("age"),
        (sa.func.row_number().over(partition_by=customer, order_by=order) > 1).label("returning"),
    ).subquery("numbered")
    band, price = _age_bands(), numbered.c.price
    keys = (numbered.c.month, numbered.c.store, band.c.age_band, band.c.from_age, numbered.c.returning)
    return (
        sa.select(
            *keys,
            sa.func.sum(price * price).label("squares"),
            *_sums(sa.func.count(), sa.func.sum(price)),
        )
        .join_from(numbered, band, numbered.c.age.between(band.c.from_age, band.c.to_age))
        .group_by(*keys)
    )


def customers_by_age_band() -> sa.SelectBase:
    """Return customers and their purchases by age; a customer is counted at the first purchase."""
    band = (_CUSTOMERS.age_band, _CUSTOMERS.from_age)
    first = sa.func.sum(_CUSTOMERS.purchases).filter(~_CUSTOMERS.returning)
    return sa.select(
        *band,
        sa.cast(first, sa.BigInteger).label("customers"),
        *_sums(sa.func.sum(_CUSTOMERS.purchases), sa.func.sum(_CUSTOMERS.revenue)),
    ).group_by(*band)


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
