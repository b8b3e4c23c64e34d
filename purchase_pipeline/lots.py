"""Lots as Dagster's partitions: `lote-0001`, `lote-0002`, ... up to the wanted number."""

import dagster as dg

from purchase_pipeline.settings import current_settings


def lote_names(wanted: int) -> list[str]:
    """Return the names of the first `wanted` lots, in order."""
    return [f"lote-{number:04d}" for number in range(1, wanted + 1)]


lotes = dg.StaticPartitionsDefinition(lote_names(current_settings().lots))
