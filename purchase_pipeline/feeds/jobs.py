"""The job that loads a lot."""

import dagster as dg

from purchase_pipeline.feeds.assets import GROUP

ingest_lote = dg.define_asset_job(
    "ingest_lote",
    selection=dg.AssetSelection.groups(GROUP),
    description="One lot, from the API to both tables, with its checks.",
)
