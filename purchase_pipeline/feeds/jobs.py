"""The job that loads a batch."""

import dagster as dg

from purchase_pipeline.feeds.assets import GROUP

ingest_lote = dg.define_asset_job(
    "ingest_lote",
    selection=dg.AssetSelection.groups(GROUP),
    description="Load one batch from the API into both tables, and check it.",
)
