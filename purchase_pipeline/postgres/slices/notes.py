"""After a write: its slices noted in the ledger, and their rows counted for the materialization."""

from collections.abc import Collection, Mapping
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.metadata import RawMetadataValue
from dagster._core.events import DagsterEvent

from purchase_pipeline.postgres.options import WriteOptions
from purchase_pipeline.postgres.slices.keys import refuse_keys_of_one_value
from purchase_pipeline.postgres.slices.ledger import noted_rows, record_slices
from purchase_pipeline.postgres.slices.partitions import Target, rows_by_partition
from purchase_pipeline.postgres.write.batches import Written

_SOURCE = ("source_rows", "digest")
"""Metadata of an output that go into the ledger: how much, and what, the slice was made from."""


def note_slices(
    connection: sa.Connection,
    context: dg.OutputContext,
    target: Target,
    written: Written,
    options: WriteOptions,
) -> dict[str, RawMetadataValue]:
    """Write one ledger entry a partition, and return the row counts: the partition's, and the table's where noted."""
    if target.keys and written.table is not None:
        dimensions = target.table_slice.partition_dimensions or ()
        refuse_keys_of_one_value(connection, written.table, dimensions, context)
    schema, keys, asset = target.table_slice.schema, target.keys, _asset(context, target)
    counts = _counts(connection, context, target, written)
    adding = options.write_mode == "append" and len(keys) <= 1
    record_slices(connection, schema, _entries(context, target, asset, counts), adding=adding)
    if len(keys) > 1 and target.is_of(context):
        for key, rows in counts.items():
            tell_of_partition(context, context.asset_key, key, {"dagster/partition_row_count": rows})
    if options.write_mode == "upsert":  # how many of its rows are new, nobody counted
        return {}
    noted = noted_rows(connection, schema, asset, keys[0] if len(keys) == 1 else "")
    if not keys:
        return {"dagster/row_count": noted.slice}
    metadata: dict[str, RawMetadataValue] = {"dagster/row_count": noted.partitions}
    if len(keys) == 1:
        metadata["dagster/partition_row_count"] = noted.slice
    return metadata


def _asset(context: dg.OutputContext, target: Target) -> str:
    """Return the asset's key, its parts joined by slashes."""
    if not context.has_asset_key:
        return target.table_slice.table
    return asset_beside(context, target.table_slice.table).to_escaped_user_string()


def asset_beside(context: dg.OutputContext, table: str) -> dg.AssetKey:
    """Return the key of the asset that a table is of: beside the output's own lie those of the same prefix."""
    return dg.AssetKey([*context.asset_key.path[:-1], table])


def _counts(
    connection: sa.Connection, context: dg.OutputContext, target: Target, written: Written
) -> Mapping[str, int]:
    """Return the rows of each partition: those written, or counted where they were several partitions'."""
    if len(target.keys) <= 1:
        return {target.keys[0] if target.keys else "": written.copied.rows}
    if written.table is None:
        return dict.fromkeys(target.keys, 0)
    return rows_by_partition(connection, written.table, target, context.asset_partitions_def)


def _entries(
    context: dg.OutputContext, target: Target, asset: str, counts: Mapping[str, int]
) -> list[dict[str, Any]]:
    said: Mapping[str, Any] = {**(context.output_metadata or {}), **target.said}
    source = {name: getattr(said.get(name), "value", said.get(name)) for name in _SOURCE}
    return [
        {"asset": asset, "partition": key, "run_id": context.run_id, "rows": rows, **source}
        for key, rows in counts.items()
    ]


def tell_of_partition(
    context: dg.OutputContext, asset: dg.AssetKey, key: str, metadata: Mapping[str, RawMetadataValue]
) -> None:
    """Let the materialization of one partition, out of the several of a run, say more than the others."""
    if asset in _assets_of_step(context):
        context.step_context.add_asset_metadata(metadata, asset, key)


def tell_of_committed(
    context: dg.OutputContext, asset: dg.AssetKey, key: str, metadata: Mapping[str, RawMetadataValue]
) -> None:
    """Record a partition that stays though the step fails: Dagster itself records only for a step that succeeds."""
    if asset in _assets_of_step(context):
        materialization = dg.AssetMaterialization(asset, partition=key, metadata=metadata)
        DagsterEvent.asset_materialization(context.step_context, materialization)


def _assets_of_step(context: dg.OutputContext) -> Collection[dg.AssetKey]:
    try:
        definition = context.step_context.assets_def
    except dg.DagsterInvariantViolationError:  # a context built by hand, in a test, has none
        return ()
    return definition.keys if definition else ()
