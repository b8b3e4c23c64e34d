"""The contract of an order: its columns, types and bounds."""

from decimal import Decimal
from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import AliasPath, BaseModel, ConfigDict, Field
from pydantic_core import core_schema

from purchase_pipeline.contracts import Explained, Moment, ReceivedAs, Text
from purchase_pipeline.ingest.tables import rejection_columns
from purchase_pipeline.postgres.schema.models import columns_from_model

# Sent as text, "129.90", as by many APIs, because JSON numbers may lose precision.
Amount = Annotated[
    Decimal,
    Field(strict=False, gt=0, max_digits=12, decimal_places=2),
    ReceivedAs(core_schema.str_schema(strict=True, pattern=r"^\d+(\.\d+)?$")),
    Explained('must be an amount above 0 with at most two decimals, as text: "129.90"'),
]


class Order(BaseModel):
    """One order, as the API sends it and as `orders` stores it; the `customer` object becomes two columns."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    order_id: Text = Field(description="Order number")
    customer_name: Text = Field(
        validation_alias=AliasPath("customer", "name"), description="Name of the customer"
    )
    customer_country: Text = Field(
        validation_alias=AliasPath("customer", "country"), description="Country of the customer, two letters"
    )
    amount: Amount = Field(description="Total in euros, with two decimals")
    placed_at: Moment = Field(description="Time of the order")
    status: Literal["placed", "paid", "shipped", "cancelled"] = Field(description="Status of the order")
    note: Text | None = Field(default=None, description="Note from the customer, if any")


def _position() -> list[sa.Column[object]]:
    return [
        sa.Column("day", sa.Date, primary_key=True, comment="Day of the request"),
        sa.Column("position", sa.Integer, primary_key=True, comment="Position in the day's response, from 1"),
    ]


_METADATA = sa.MetaData()

ORDERS = sa.Table(
    "orders", _METADATA, *_position(), *columns_from_model(Order), comment="Valid orders, one row each"
)
ORDERS_REJECTED = sa.Table(
    "orders_rejected",
    _METADATA,
    *_position(),
    *rejection_columns(),
    comment="Quarantine: rejected orders with their reasons",
)
