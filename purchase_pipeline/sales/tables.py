"""The tables of the sales marts: aggregates of each batch, and the marts computed from them."""

import sqlalchemy as sa

from purchase_pipeline.purchases import TABELA_COMPRAS

_METADATA = sa.MetaData()
_MONEY = sa.Numeric(38, 2)  # fits BIGINT purchases of the highest price


def _purchased(name: str) -> sa.Column[object]:
    """Return a column with the type and comment that it has in `tabela_compras`."""
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
    return sa.Column("month", sa.Date, nullable=False, comment="First day of the month of the purchases")


def _rank() -> sa.Column[object]:
    return sa.Column("rank", sa.Integer, nullable=False, comment="Rank by revenue, from 1, without ties")


def _age_band() -> list[sa.Column[object]]:
    return [
        sa.Column(
            "age_band",
            sa.Text,
            nullable=False,
            comment="Age in years: 18-24, ...; the last band is open-ended",
        ),
        sa.Column("from_age", sa.Integer, nullable=False, comment="Lowest age of the band, for sorting"),
    ]


def _mart(name: str, comment: str, *columns: sa.Column[object]) -> sa.Table:
    return sa.Table(name, _METADATA, *columns, *_sums(), comment=comment)


def _nullable(column: sa.Column[object]) -> sa.Column[object]:
    """Make a column nullable: only some rows have a value."""
    column.nullable = True
    return column


SALES_BY_LOT = _mart(
    "sales_by_lot",
    "Aggregates of each batch, one set for each grouping (cut) that the marts need",
    sa.Column("lote", sa.Text, nullable=False, index=True, comment="Batch of the purchases"),
    sa.Column(
        "cut",
        sa.Text,
        nullable=False,
        comment="Grouping of the row: which columns are set; the others are NULL",
    ),
    _nullable(_day()),
    _nullable(_month()),
    *(
        _nullable(_purchased(name))
        for name in ("category", "state", "store", "payment_type", "product", "brand")
    ),
)

REVENUE_BY_DAY = _mart("revenue_by_day", "Purchases and revenue by day", _day())

REVENUE_BY_MONTH_AND_CATEGORY = _mart(
    "revenue_by_month_and_category",
    "Purchases and revenue by month and product category",
    _month(),
    _purchased("category"),
)

REVENUE_BY_STATE = _mart("revenue_by_state", "Purchases and revenue by state", _purchased("state"))

REVENUE_BY_STORE = _mart("revenue_by_store", "Purchases and revenue by store", _purchased("store"))

REVENUE_BY_PAYMENT_TYPE = _mart(
    "revenue_by_payment_type", "Purchases and revenue by payment type", _purchased("payment_type")
)

SALES_BY_MONTH_AND_STORE = _mart(
    "sales_by_month_and_store",
    "Purchases and revenue by month, store and one of: day, product, state, payment type (the cut)",
    sa.Column("cut", sa.Text, nullable=False, comment="Which columns are set; the others are NULL"),
    _month(),
    _purchased("store"),
    _nullable(_day()),
    *(_nullable(_purchased(name)) for name in ("product", "brand", "category", "state", "payment_type")),
)

CUSTOMERS_BY_MONTH_AND_STORE = _mart(
    "customers_by_month_and_store",
    "Purchases by month, store, the customer's age on the day of the newest purchase, and whether the customer had "
    "bought before, in any store. The source has no customer ID: a customer is a first name, a last name and a date of "
    "birth",
    _month(),
    _purchased("store"),
    *_age_band(),
    sa.Column("returning", sa.Boolean, nullable=False, comment="Whether the customer had bought before"),
    sa.Column(
        "squares", sa.Numeric, nullable=False, comment="Sum of the squared prices, for standard errors"
    ),
)

CUSTOMERS_BY_AGE_BAND = _mart(
    "customers_by_age_band",
    "Customers and their purchases by age on the day of the newest purchase. The source has no customer ID: a customer "
    "is a first name, a last name and a date of birth",
    *_age_band(),
    sa.Column("customers", sa.BigInteger, nullable=False, comment="Number of distinct customers"),
)

TOP_PRODUCTS = _mart(
    "top_products",
    "The 100 products with the highest revenue",
    _rank(),
    *(_purchased(name) for name in ("product", "brand", "category")),
)

TOP_BRANDS = _mart("top_brands", "The 100 brands with the highest revenue", _rank(), _purchased("brand"))
