"""The sales marts: each a table and the query that fills it."""

from collections.abc import Callable
from typing import NamedTuple

import sqlalchemy as sa

from purchase_pipeline.purchases import TABELA_COMPRAS
from purchase_pipeline.sales import tables
from purchase_pipeline.sales.queries import (
    customers_by_age_band,
    customers_by_month_and_store,
    ranked,
    sums_by,
    sums_by_month_and_store,
)

_LOT = tables.SALES_BY_LOT.c


class Mart(NamedTuple):
    """One mart.

    Attributes:
        table: holds its rows; each update replaces them.
        source: the table that the query reads.
        query: returns its rows.
    """

    table: sa.Table
    source: sa.Table
    query: Callable[[], sa.SelectBase]


def _sums_by(table: sa.Table, *columns: sa.Column[object]) -> Mart:
    return Mart(table, tables.SALES_BY_LOT, lambda: sums_by(*columns))


def _ranked(table: sa.Table, *columns: sa.Column[object]) -> Mart:
    return Mart(table, tables.SALES_BY_LOT, lambda: ranked(*columns))


MARTS = [  # a mart that reads another comes after it
    _sums_by(tables.REVENUE_BY_DAY, _LOT.day),
    _sums_by(tables.REVENUE_BY_MONTH_AND_CATEGORY, _LOT.month, _LOT.category),
    _sums_by(tables.REVENUE_BY_STATE, _LOT.state),
    _sums_by(tables.REVENUE_BY_STORE, _LOT.store),
    _sums_by(tables.REVENUE_BY_PAYMENT_TYPE, _LOT.payment_type),
    Mart(tables.SALES_BY_MONTH_AND_STORE, TABELA_COMPRAS, sums_by_month_and_store),
    Mart(tables.CUSTOMERS_BY_MONTH_AND_STORE, TABELA_COMPRAS, customers_by_month_and_store),
    Mart(tables.CUSTOMERS_BY_AGE_BAND, tables.CUSTOMERS_BY_MONTH_AND_STORE, customers_by_age_band),
    _ranked(tables.TOP_PRODUCTS, _LOT.product, _LOT.brand, _LOT.category),
    _ranked(tables.TOP_BRANDS, _LOT.brand),
]
