"""The tables of the sales marts: the sums of each lot, and what they add up to."""

import sqlalchemy as sa

from purchase_pipeline.ingest.tables import TABELA_COMPRAS

_METADATA = sa.MetaData()
_MONEY = sa.Numeric(38, 2)  # so many purchases of the highest price as BIGINT counts


def _purchased(name: str) -> sa.Column[object]:
    """Return a column that has the meaning, and the type, that it has in `tabela_compras`."""
    column = TABELA_COMPRAS.columns[name]
    return sa.Column(name, column.type, nullable=False, comment=column.comment)


def _sums() -> list[sa.Column[object]]:
    return [
        sa.Column("purchases", sa.BigInteger, nullable=False, comment="Number of purchases"),
        sa.Column("revenue", _MONEY, nullable=False, comment="Sum of the prices paid, in reais (R$)"),
    ]


def _day() -> sa.Column[object]:
    return sa.Column("day", sa.Date, nullable=False, comment="Day of the purchases")


def _month() -> sa.Column[object]:
    return sa.Column("month", sa.Date, nullable=False, comment="Month of the purchases, by its first day")


def _rank() -> sa.Column[object]:
    return sa.Column("rank", sa.Integer, nullable=False, comment="Place by revenue, from 1; no two share one")


def _mart(name: str, comment: str, *columns: sa.Column[object]) -> sa.Table:
    return sa.Table(name, _METADATA, *columns, *_sums(), comment=comment)


def _either(column: sa.Column[object]) -> sa.Column[object]:
    """Return a column that only some of the table's rows have."""
    column.nullable = True
    return column


SALES_BY_LOT = _mart(
    "sales_by_lot",
    "Sums of each lot, once for each way that the marts are cut: they add these up, and not every purchase again",
    sa.Column("lote", sa.Text, nullable=False, index=True, comment="Lot that is summed up"),
    sa.Column(
        "cut", sa.Text, nullable=False, comment="Which columns the row is a sum for; the others are NULL"
    ),
    _either(_day()),
    _either(_month()),
    *(
        _either(_purchased(name))
        for name in ("category", "state", "store", "payment_type", "product", "brand")
    ),
)

REVENUE_BY_DAY = _mart("revenue_by_day", "Purchases and revenue of each day that has any", _day())

REVENUE_BY_MONTH_AND_CATEGORY = _mart(
    "revenue_by_month_and_category",
    "Purchases and revenue of each month and category of product",
    _month(),
    _purchased("category"),
)

REVENUE_BY_STATE = _mart(
    "revenue_by_state", "Purchases and revenue of each state of Brazil", _purchased("state")
)

REVENUE_BY_STORE = _mart("revenue_by_store", "Purchases and revenue of each store", _purchased("store"))

REVENUE_BY_PAYMENT_TYPE = _mart(
    "revenue_by_payment_type", "Purchases and revenue by how they were paid", _purchased("payment_type")
)

CUSTOMERS_BY_AGE_BAND = _mart(
    "customers_by_age_band",
    "Customers by their age on the day of the newest purchase in the table, and what they bought. The feed numbers no "
    "customer: one is a first name, a last name and a date of birth",
    sa.Column("age_band", sa.Text, nullable=False, comment="Ages in years: 18-24, ...; the last is open"),
    sa.Column("from_age", sa.Integer, nullable=False, comment="Youngest age in the band, to sort by"),
    sa.Column("customers", sa.BigInteger, nullable=False, comment="Number of different customers"),
)

TOP_PRODUCTS = _mart(
    "top_products",
    "The hundred products with the greatest revenue",
    _rank(),
    *(_purchased(name) for name in ("product", "brand", "category")),
)

TOP_BRANDS = _mart("top_brands", "The hundred brands with the greatest revenue", _rank(), _purchased("brand"))
