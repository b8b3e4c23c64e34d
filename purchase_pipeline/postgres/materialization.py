"""Metadata of a materialization: rows, bytes, speed, column schema, a preview of the first rows."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import DagsterEvent, RawMetadataValue
from purchase_pipeline.postgres.markdown import in_markdown
from purchase_pipeline.postgres.schema.types import sql
from purchase_pipeline.postgres.write.batches import WriteResult
from purchase_pipeline.postgres.write.upsert import MergeResult
from purchase_pipeline.postgres.write_options import WriteOptions


def write_metadata(
    written: WriteResult, counts: Mapping[str, RawMetadataValue], options: WriteOptions
) -> dict[str, RawMetadataValue]:
    """Return the metadata of one write; with the row counts of the table, no number stands there twice."""
    metadata = {**counts}
    # Of a replaced table or partition, its row count is that of the rows written.
    if options.write_mode != "replace" or not counts:
        metadata["rows_written"] = written.copied.rows
    if written.copied.bytes:  # a query's rows are not copied
        metadata["bytes_copied"] = written.copied.bytes
        metadata["rows_per_second"] = round(written.copied.rows / max(written.seconds, 1e-9))
    metadata["seconds"] = round(written.seconds, 3)
    if isinstance(written.copied, MergeResult):
        metadata |= {name: rows for name, rows in written.copied.counts().items() if rows is not None}
    if written.table is not None:
        metadata["dagster/column_schema"] = column_schema(written.table, written.declared)
    if options.preview_rows:
        metadata["preview"] = dg.MetadataValue.md(markdown_table(_shown(written)))
    return metadata


def _shown(written: WriteResult) -> Sequence[Mapping[str, Any]]:
    """Return the preview without the columns that their declaration hides: `info={"preview": False}`."""
    declared = () if written.declared is None else written.declared.columns
    hidden = {column.name for column in declared if not column.info.get("preview", True)}
    return [{name: value for name, value in row.items() if name not in hidden} for row in written.preview]


def column_schema(table: sa.Table, declared: sa.Table | None = None) -> dg.TableSchema:
    """Return the table's columns with their PostgreSQL types and the constraints of their declaration."""
    declared_info = {} if declared is None else {column.name: column.info for column in declared.columns}
    return dg.TableSchema(
        columns=[
            _table_column(column, declared_info.get(column.name, column.info)) for column in table.columns
        ]
    )


def _table_column(column: sa.Column[Any], info: Mapping[Any, Any]) -> dg.TableColumn:
    return dg.TableColumn(
        name=column.name,
        type=sql(column.type),
        description=column.comment,
        constraints=dg.TableColumnConstraints(
            nullable=bool(column.nullable), other=info.get("constraints", [])
        ),
    )


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a Markdown table whose cells show names and values as plain text."""
    if not rows:
        return "no rows"
    lines = [
        [_cell(name) for name in rows[0]],
        ["---"] * len(rows[0]),
        *([_cell(value) for value in row.values()] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(map(_cell, value))
    return "NULL" if value is None else in_markdown(value).replace("|", "\\|")


def add_partition_metadata(
    context: dg.OutputContext, asset: dg.AssetKey, key: str, metadata: Mapping[str, RawMetadataValue]
) -> None:
    """Add metadata to the materialization of one of the run's partitions."""
    if asset in _assets_of_step(context):
        context.step_context.add_asset_metadata(metadata, asset, key)


def report_committed(
    context: dg.OutputContext, asset: dg.AssetKey, key: str, metadata: Mapping[str, RawMetadataValue]
) -> None:
    """Record a partition that stays committed although the step fails: Dagster records none then."""
    if asset in _assets_of_step(context):
        materialization = dg.AssetMaterialization(asset, partition=key, metadata=metadata)
        DagsterEvent.asset_materialization(context.step_context, materialization)


def _assets_of_step(context: dg.OutputContext) -> Collection[dg.AssetKey]:
    try:
        definition = context.step_context.assets_def
    except dg.DagsterInvariantViolationError:  # a context built by hand, in a test, has none
        return ()
    return definition.keys if definition else ()
