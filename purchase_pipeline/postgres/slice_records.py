"""Record a write: ledger entries for its slices, and row counts for the materialization."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import RawMetadataValue
from purchase_pipeline.postgres.materialization import add_partition_metadata
from purchase_pipeline.postgres.op_outputs import ledger_name_of_output
from purchase_pipeline.postgres.slices.keys import reject_equal_keys
from purchase_pipeline.postgres.slices.ledger import iso_text, record_slices, recorded_cursor
from purchase_pipeline.postgres.slices.ledger_versions import prepare_ledger
from purchase_pipeline.postgres.slices.partitions import Target
from purchase_pipeline.postgres.write.batches import WriteResult
from purchase_pipeline.postgres.write.counts import Counting, Counts
from purchase_pipeline.postgres.write.upsert import MergeResult
from purchase_pipeline.postgres.write_options import WriteOptions

_SOURCE = ("source_rows", "digest")
"""Output metadata that goes into the ledger: what the slice was made from."""
_MERGED = ("rows_inserted", "rows_updated", "rows_unchanged", "rows_older")


def record_write(
    connection: sa.Connection,
    context: dg.OutputContext,
    target: Target,
    written: WriteResult,
    options: WriteOptions,
) -> dict[str, RawMetadataValue]:
    """Write one ledger entry per partition, and return the row counts that are known exactly."""
    if target.keys and written.table is not None:
        dimensions = target.table_slice.partition_dimensions or ()
        reject_equal_keys(connection, written.table, dimensions, context)
    schema, keys, asset = target.table_slice.schema, target.keys, _asset(context, target)
    prepare_ledger(connection, schema)
    counts = Counts(dict.fromkeys(keys or [""], 0), exact=True, table=0)
    if written.table is not None:
        counting = Counting(connection, context, target, written.table, asset)
        counts = counting.counts(written.copied, options.write_mode)
    entries = _entries(context, target, asset, counts, written)
    if isinstance(written.copied, MergeResult) and options.cursor is not None and written.table is not None:
        kind = written.table.columns[options.cursor].type
        for entry in entries:
            known = recorded_cursor(schema, asset, entry["partition"], kind)
            greatest = sa.func.greatest(sa.cast(written.copied.cursor, kind), known)
            entry["cursor"] = connection.execute(sa.select(iso_text(greatest))).scalar()
    record_slices(connection, schema, entries)
    if len(keys) > 1 and target.is_of(context):
        for key, rows in counts.slices.items():
            add_partition_metadata(context, context.asset_key, key, {"dagster/partition_row_count": rows})
    metadata: dict[str, RawMetadataValue] = {}
    if counts.table is not None:
        metadata["dagster/row_count"] = counts.table
    if len(keys) == 1 and counts.exact:
        metadata["dagster/partition_row_count"] = counts.slices[keys[0]]
    return metadata


def _asset(context: dg.OutputContext, target: Target) -> str:
    """Return the table's name in the ledger: the asset key joined by slashes, or the op output's name."""
    if not context.has_asset_key:
        return ledger_name_of_output(target.table_slice.table)
    return companion_asset(context, target.table_slice.table).to_escaped_user_string()


def companion_asset(context: dg.OutputContext, table: str) -> dg.AssetKey:
    """Return the key of the asset that a table belongs to: companion tables share the output's key prefix."""
    return dg.AssetKey([*context.asset_key.path[:-1], table])


def _entries(
    context: dg.OutputContext, target: Target, asset: str, counts: Counts, written: WriteResult
) -> list[dict[str, Any]]:
    metadata: Mapping[str, Any] = {**(context.output_metadata or {}), **target.metadata}
    source = {name: getattr(metadata.get(name), "value", metadata.get(name)) for name in _SOURCE}
    merged = dict.fromkeys(_MERGED)
    if isinstance(written.copied, MergeResult) and len(counts.slices) == 1:
        merged = written.copied.counts()
    return [
        {
            "asset": asset,
            "partition": key,
            "run_id": context.run_id,
            "rows": rows,
            "table_oid": counts.table_oid,
            "cut_by": counts.cut_by,
            "cursor": None,
            **source,
            **merged,
        }
        for key, rows in counts.slices.items()
    ]
