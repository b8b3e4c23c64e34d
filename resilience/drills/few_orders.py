"""The feed of the example with two days, for a drill."""

from dataclasses import replace

import dagster as dg

from examples.orders import pipeline

DAYS = ("2026-01-01", "2026-01-02")
orders = replace(
    pipeline.orders, partitions=dg.DailyPartitionsDefinition(DAYS[0], end_date="2026-01-03"), every=1
)
defs = orders.definitions()
