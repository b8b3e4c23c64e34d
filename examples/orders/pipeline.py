"""The orders feed: a day of orders is a partition; each lands as received, is validated, and replaces its rows."""

from decimal import Decimal
from typing import Literal

import dagster as dg
from pydantic import AliasPath, BaseModel, ConfigDict, Field

from purchase_pipeline.contracts import Moment, Text
from purchase_pipeline.feeds import Feed, HttpSource, NextLink


class Order(BaseModel):
    """One order, as the API sends it and as `orders` stores it; the `customer` object becomes two columns."""

    model_config = ConfigDict(strict=True, extra="forbid")

    order_id: Text = Field(description="Order number")
    customer_name: Text = Field(
        validation_alias=AliasPath("customer", "name"), description="Name of the customer"
    )
    customer_country: Text = Field(
        validation_alias=AliasPath("customer", "country"), description="Country of the customer, two letters"
    )
    amount: Decimal = Field(strict=False, gt=0, max_digits=12, decimal_places=2, description="Total in euros")
    placed_at: Moment = Field(description="Time of the order")
    status: Literal["placed", "paid", "shipped", "cancelled"] = Field(description="Status of the order")
    note: Text | None = Field(default=None, description="Note from the customer, if any")


orders = Feed(
    name="orders",
    contract=Order,
    source=HttpSource(
        dg.EnvVar("ORDERS_API_URL"),
        path="/orders",
        params={"day": "{partition_key}"},
        rows="items",
        pages=NextLink("next"),
    ),
    partitions=dg.DailyPartitionsDefinition("2026-01-01"),
)
defs = orders.definitions()
