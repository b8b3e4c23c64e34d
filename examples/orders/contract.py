"""The contract of an order: its columns, types and bounds."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AliasPath, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import core_schema

from purchase_pipeline.contracts import Explained, ReceivedAs, Text
from purchase_pipeline.ingest.tables import feed_tables

# Sent as text, "129.90", as by many APIs, because JSON numbers may lose precision.
Amount = Annotated[
    Decimal,
    Field(strict=False, gt=0, max_digits=12, decimal_places=2),
    ReceivedAs(core_schema.str_schema(strict=True, pattern=r"^\d+(\.\d+)?$")),
    Explained('must be an amount above 0 with at most two decimals, as text: "129.90"'),
]
# The pattern excludes digits alone, which would pass as seconds since 1970. The bounds exclude moments that are outside
# Python's range once converted to UTC: reading the table would fail.
Moment = Annotated[
    AwareDatetime,
    Field(strict=False, ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9999, 12, 31, tzinfo=UTC)),
    ReceivedAs(core_schema.str_schema(strict=True, pattern=r"^\d{4}-\d\d-\d\dT")),
    Explained("must be a timestamp from 1970 on, with time zone: 2026-01-05T09:00:00+01:00"),
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


TABLES = feed_tables(
    Order, "orders", partition="day", row_number="position", comment="Valid orders, one row each"
)
ORDERS, ORDERS_REJECTED = TABLES.both
