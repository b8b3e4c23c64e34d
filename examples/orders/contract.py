"""What an order is: the one place where its columns, types and bounds are written."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import AliasPath, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import core_schema

from purchase_pipeline.contracts import Explained, ReceivedAs, Text
from purchase_pipeline.ingest.tables import rejection_columns
from purchase_pipeline.postgres.schema.models import columns_from_model

# Sent as a text, "129.90", as APIs do that do not trust JSON's numbers with money.
Amount = Annotated[
    Decimal,
    Field(strict=False, gt=0, max_digits=12, decimal_places=2),
    ReceivedAs(core_schema.str_schema(strict=True, pattern=r"^\d+(\.\d+)?$")),
    Explained('Input should be an amount above 0, two decimals at most, in a text: "129.90"'),
]
# Its form first: a text of digits alone would pass as seconds since 1970. Its bounds: in UTC, a moment of the first or
# the last year may be of none that Python has, and whoever reads the table would fail.
Moment = Annotated[
    AwareDatetime,
    Field(strict=False, ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9999, 12, 31, tzinfo=UTC)),
    ReceivedAs(core_schema.str_schema(strict=True, pattern=r"^\d{4}-\d\d-\d\dT")),
    Explained("Input should be a moment from 1970 on, with its zone: 2026-01-05T09:00:00+01:00"),
]


class Order(BaseModel):
    """One order, as the API sends it and as `orders` keeps it; its `customer` object becomes two columns."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    order_id: Text = Field(description="The shop's own number of the order")
    customer_name: Text = Field(validation_alias=AliasPath("customer", "name"), description="Whose it is")
    customer_country: Text = Field(
        validation_alias=AliasPath("customer", "country"), description="Where the customer lives, two letters"
    )
    amount: Amount = Field(description="What it costs, in euros, with two decimals")
    placed_at: Moment = Field(description="When it was placed")
    status: Literal["placed", "paid", "shipped", "cancelled"] = Field(description="How far it has come")
    note: Text | None = Field(default=None, description="What the customer wrote, if anything")


def _position() -> list[sa.Column[object]]:
    return [
        sa.Column("day", sa.Date, primary_key=True, comment="Day that was asked for"),
        sa.Column("position", sa.Integer, primary_key=True, comment="Position in the day's answer, from 1"),
    ]


_METADATA = sa.MetaData()

ORDERS = sa.Table(
    "orders", _METADATA, *_position(), *columns_from_model(Order), comment="Orders that keep the contract"
)
ORDERS_REJECTED = sa.Table(
    "orders_rejected",
    _METADATA,
    *_position(),
    *rejection_columns(),
    comment="Orders that broke the contract: kept, and explained",
)
