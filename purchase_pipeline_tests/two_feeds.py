"""Two feeds in one code location, as a project would have them: a daily function, and an HTTP API in pages."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg
from pydantic import BaseModel

from purchase_pipeline.contracts import DecimalOf, LongText
from purchase_pipeline.feeds import Feed, FunctionSource, HttpSource, NextLink, PartitionRequest


class Reading(BaseModel):
    """A temperature."""

    station: str
    day: date
    celsius: float


class Product(BaseModel):
    """An article of a shop."""

    sku: LongText
    price: DecimalOf(12, 2)  # type: ignore[valid-type]  # made at run time


def readings(request: PartitionRequest) -> Iterator[dict[str, Any]]:
    """Yield 50 readings of a day, one of them without a number."""
    for number in range(50):
        celsius = "cold" if number == 7 else number / 2
        yield {"station": f"s{number}", "day": f"{request.variables['start']:%Y-%m-%d}", "celsius": celsius}


weather = Feed(
    name="weather",
    contract=Reading,
    source=FunctionSource(readings),
    partitions=dg.DailyPartitionsDefinition("2026-01-05", end_date="2026-01-08"),
)
shops = Feed(
    name="shops",
    contract=Product,
    source=HttpSource(
        dg.EnvVar("SHOPS_API_URL"), path="/shops/{partition_key}", rows="items", pages=NextLink(), attempts=1
    ),
    partitions=dg.StaticPartitionsDefinition(["rio", "são paulo"]),
    max_rejected_ratio=0.1,
)


@dg.definitions
def defs() -> dg.Definitions:
    """Both feeds."""
    return dg.Definitions.merge(weather.definitions(), shops.definitions())
