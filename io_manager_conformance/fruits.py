"""The data that the behaviours write: fruits of shops, and of days."""

from datetime import datetime
from typing import Any

import dagster as dg

from io_manager_conformance.subject import Columns, Subject
from io_manager_conformance.table_under_test import Table

SHOPS = dg.StaticPartitionsDefinition(["north", "east", "south", "west"])
DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")
SHOP_DAYS = dg.MultiPartitionsDefinition({"shop": SHOPS, "day": DAYS})


def shop_table(subject: Subject, partitions: dg.PartitionsDefinition[Any] = SHOPS, **changes: Any) -> Table:  # noqa: ANN401  (Table's own)
    """Return a table with a partition a shop."""
    return Table(subject=subject, partitions=partitions, **{"partition_expr": "shop", **changes})


def two_shops(subject: Subject) -> Table:
    """Return a table where north has apples and pears, and south has figs."""
    fruits = shop_table(subject)
    fruits.write(joined(stock("north", "apple", "pear"), stock("south", "fig")), ("north", "south"))
    return fruits


def day_table(subject: Subject, partitions: dg.PartitionsDefinition[Any] = DAYS) -> Table:
    """Return a table with a partition a time window."""
    return Table(subject=subject, partitions=partitions, partition_expr="moment")


def shop_day_table(subject: Subject) -> Table:
    """Return a table with a partition a shop a day."""
    return Table(subject=subject, partitions=SHOP_DAYS, partition_expr={"shop": "shop", "day": "moment"})


def shop_day(shop: str, day: str) -> str:
    """Return the key of a shop's day."""
    return dg.MultiPartitionKey({"shop": shop, "day": day})


def stock(shop: str, *names: str) -> Columns:
    """Return the fruits of a shop."""
    return {"shop": [shop] * len(names), "number": range(1, len(names) + 1), "name": names}


def picked(moment: str | datetime, *names: str) -> Columns:
    """Return fruits picked at a moment."""
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return {"moment": [at] * len(names), "name": names}


def sold(shop: str, moment: str, *names: str) -> Columns:
    """Return fruits sold by a shop at a moment."""
    return {"shop": [shop] * len(names), **picked(moment, *names)}


def joined(*parts: Columns) -> Columns:
    """Return columns one below the other."""
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}
