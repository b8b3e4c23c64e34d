"""The jobs: one loads a lot, two make of the lots what they add up to."""

import dagster as dg

from purchase_pipeline.assets import GROUP
from purchase_pipeline.sales import automation, tables

_SUMS = dg.AssetSelection.assets(tables.SALES_BY_LOT.name)

ingest_lote = dg.define_asset_job(
    "ingest_lote",
    selection=dg.AssetSelection.groups(GROUP),
    description="One lot, from the API to both tables, with its checks.",
)

sum_lots = dg.define_asset_job(
    "sum_lots", selection=_SUMS, description="What each lot adds up to, for the sales marts."
)

refresh_sales = dg.define_asset_job(
    "refresh_sales",
    selection=dg.AssetSelection.groups(automation.GROUP) - _SUMS,
    description="The sales marts and the report, from the sums of the lots.",
)
