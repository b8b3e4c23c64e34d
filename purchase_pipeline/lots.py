"""Lots as Dagster's partitions: `lote-0001`, `lote-0002`, ... up to the wanted number."""

import dagster as dg

from purchase_pipeline.settings import current_settings

lotes = dg.StaticPartitionsDefinition(current_settings().lote_names)
