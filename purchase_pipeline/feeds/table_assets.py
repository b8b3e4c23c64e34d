"""The assets of a feed's two tables, which validation fills."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg
import sqlalchemy as sa
from pydantic import Field, create_model

from purchase_pipeline import PipelineError
from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.feeds.descriptions import table_description
from purchase_pipeline.feeds.links import code_of
from purchase_pipeline.feeds.metadata import loaded_metadata, rejected_metadata
from purchase_pipeline.feeds.partitions import keys_of
from purchase_pipeline.feeds.specs import table_spec
from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.load import LandedSlices
from purchase_pipeline.postgres import PerPartition, Together
from purchase_pipeline.postgres.dagster_internals import RawMetadataValue
from purchase_pipeline.postgres.failures import expected_failures


class NotLandedError(PipelineError):
    """A partition that is to be validated has no landed file."""


def not_landed(feed: FeedDeclaration, key: str, landing: Landing, hint: str) -> NotLandedError:
    """Return the error for a partition without a landed file, which says if it was pruned."""
    pruned = landing.find_pruned(key)
    if pruned is None:
        return NotLandedError(f"{key or feed.name} has no landed file in {landing.backend}.", hint=hint)
    return NotLandedError(
        f"The landed file of {key or feed.name} was pruned on {pruned.pruned_at:%Y-%m-%d}.",
        hint=f"To fetch the partition from its source again, materialize {feed.raw_asset}.",
    )


def table_assets(feed: FeedDeclaration) -> dg.AssetsDefinition:
    """Return the assets of both tables."""
    accepted, rejected = feed.tables.both

    ratio = Field(
        default=feed.max_rejected_ratio,
        gt=0,
        le=1,
        description="Ratio of rejected rows at which the whole partition fails; rows loaded before are kept",
    )
    fields: dict[str, Any] = {"max_rejected_ratio": (float, ratio)}
    if feed.has_increments:
        fields["increment"] = (str, Field(default="", description="A landed load; by default the last one"))
    config_type: type[dg.Config] = create_model("ValidationConfig", __base__=dg.Config, **fields)

    @dg.multi_asset(
        name=feed.validation,
        outs={
            accepted.name: dg.AssetOut.from_spec(
                _table(feed, accepted, freshness_policy=feed.freshness), io_manager_key=feed.io_manager_key
            ),
            rejected.name: dg.AssetOut.from_spec(_table(feed, rejected), dagster_type=dg.Nothing),
        },
        deps=[feed.raw_asset],
        partitions_def=feed.partitions,
        pool=feed.database_pool,
        group_name=feed.group,
        required_resource_keys={feed.landing_key},
    )
    def assets(
        context: dg.AssetExecutionContext, config: config_type
    ) -> Iterator[dg.Output[PerPartition | Together] | dg.MaterializeResult[None]]:
        """Validate each row of a landed partition once, and load both tables in one transaction."""
        given, landing = dict(config), getattr(context.resources, feed.landing_key)
        partitions = (
            LandedSlices(
                _landed(feed, key, landing, given.get("increment", "")),
                landing,
                feed.tables,
                max_rejected_ratio=given["max_rejected_ratio"],
                min_rejected_rows=feed.min_rejected_rows,
                run_id=context.run.run_id,
            )
            for key in keys_of(context)
        )
        slices = _slices(feed, context, partitions)
        if feed.partitions is None:
            with expected_failures():
                key, value, known = next(slices)
            batch = {"batch": key} if feed.has_increments else {}
            yield dg.Output(value, accepted.name, metadata={**known, **batch})
            next(slices, None)  # reports what was loaded
        else:
            yield dg.Output(PerPartition(slices), accepted.name)
        # Already committed: each partition together with its slice of the accepted rows.
        yield dg.MaterializeResult(asset_key=rejected.name)

    return assets


def _table(feed: FeedDeclaration, table: sa.Table, **more: Any) -> dg.AssetSpec:  # noqa: ANN401  (AssetSpec's types)
    spec = table_spec(
        table,
        table_description(feed, table),
        {**feed.pages, **code_of(feed.tables.contract)},
        kinds={"postgres", "table"},
        owners=list(feed.owners),
        tags=dict(feed.tags),
        **more,
    )
    metadata = dict[str, Any]()
    if feed.partitions is not None or feed.has_increments:
        metadata["partition_expr"] = feed.tables.partition
    if isinstance(feed.partitions, dg.TimeWindowPartitionsDefinition | dg.MultiPartitionsDefinition):
        metadata["partition_by"] = "key"  # not by time, not by dimension
    if table is feed.tables.accepted:
        metadata |= _write_metadata(feed)
    if feed.hash_partitions is not None:
        metadata["hash_partitions"] = feed.hash_partitions
    return spec.merge_attributes(metadata=metadata)


def _write_metadata(feed: FeedDeclaration) -> dict[str, Any]:
    """Return the IO manager's options for the table of accepted rows."""
    write, tables = feed.write, feed.tables
    metadata = dict[str, Any]()
    if write.merges:
        origin = {tables.partition, tables.row_number} - {write.newest}
        metadata |= {
            "write_mode": write.mode,
            "upsert_keys": list(write.keys),
            "duplicate_keys": "merge",
            "upsert_ignores": sorted(origin),
        }
    if write.newest is not None:
        metadata["newest"] = write.newest
    if feed.since is not None:
        metadata["cursor"] = feed.since.field
    return metadata


def _landed(feed: FeedDeclaration, key: str, landing: Landing, increment: str) -> LandedPartition:
    wanted = increment or key
    landed = landing.newest() if feed.has_increments and not increment else landing.find(wanted)
    if landed is None:
        raise not_landed(feed, wanted, landing, f"Materialize {feed.raw_asset} for it first.")
    return landed


def _slices(
    feed: FeedDeclaration, context: dg.AssetExecutionContext, partitions: Iterable[LandedSlices]
) -> Iterator[tuple[str, Together, Mapping[str, RawMetadataValue]]]:
    accepted, rejected = feed.tables.both
    raw = dg.AssetKey(feed.raw_asset)
    counts = Counter[str]()
    for one in partitions:
        key, received = one.landed.partition, one.landed.rows
        yield key, one.slices(), {"source_rows": received, "digest": one.landed.digest}
        refused = one.validation.rejected
        counts.update(partitions=1, received=received, rejected=len(refused))
        loaded = loaded_metadata(len(refused), raw, feed.tables.contract)
        partition = None if feed.partitions is None else key
        context.add_asset_metadata(loaded, accepted.name, partition)
        context.add_asset_metadata(rejected_metadata(refused, received), rejected.name, partition)
    # Once a run: an event for each partition costs as much as loading a small one.
    context.log.info(
        "%d partitions: %d rows received = %d loaded + %d rejected.",
        counts["partitions"],
        counts["received"],
        counts["received"] - counts["rejected"],
        counts["rejected"],
    )
