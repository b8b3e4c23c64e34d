"""Jobs that update the marts and the report."""

import dagster as dg

from purchase_pipeline.sales import automation, tables

_SUMS = dg.AssetSelection.assets(tables.SALES_BY_LOT.name)

sum_lots = dg.define_asset_job(
    "sum_lots", selection=_SUMS, description="Aggregates of each batch, for the sales marts."
)

refresh_sales = dg.define_asset_job(
    "refresh_sales",
    selection=dg.AssetSelection.groups(automation.GROUP) - _SUMS,
    description="The sales marts and the report, from the aggregates of each batch.",
)
