"""The job that loads one lot."""

import dagster as dg

from purchase_pipeline.assets import GROUP
from purchase_pipeline.lots import lotes

ingest_lote = dg.define_asset_job(
    "ingest_lote",
    selection=dg.AssetSelection.groups(GROUP),
    partitions_def=lotes,
    description="One lot, from the API to both tables, with its checks.",
)
