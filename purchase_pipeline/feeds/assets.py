"""The assets of a feed: raw partitions as received, and the two tables that validation fills."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import dagster as dg
import sqlalchemy as sa
from pydantic import Field, create_model

from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.feeds.metadata import (
    fields_as_received,
    landed_metadata,
    loaded_metadata,
    rejected_metadata,
)
from purchase_pipeline.feeds.partitions import WHOLE, variables_of
from purchase_pipeline.feeds.specs import table_spec
from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.load import LandedSlices
from purchase_pipeline.ingest.sources.request import PartitionRequest, Source
from purchase_pipeline.postgres import PerPartition, Together
from purchase_pipeline.postgres.dagster_internals import RawMetadataValue

_PREVIEW_ROWS = 5


def raw_asset(feed: FeedDeclaration) -> dg.AssetsDefinition:
    """Return the asset of the raw partitions."""
    fields: dict[str, Any] = {
        "refetch": (
            bool,
            Field(default=False, description="Request a partition again that has already landed"),
        ),
        **{name: (type(field.default), field) for name, field in feed.variables.items()},
    }
    config_type: type[dg.Config] = create_model("RawConfig", __base__=dg.Config, **fields)

    @dg.asset(
        name=feed.raw_asset,
        partitions_def=feed.partitions,
        pool=feed.api_pool,
        group_name=feed.group,
        owners=list(feed.owners),
        tags=dict(feed.tags),
        kinds={"http", "file"},
        required_resource_keys={feed.source_key, feed.landing_key},
        metadata={"dagster/column_schema": fields_as_received(feed.tables.contract), **feed.pages},
    )
    def asset(
        context: dg.AssetExecutionContext,
        config: config_type,
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Partitions as the API sent them, one compressed file each.

        A partition that has landed completely is not requested again, so that every later step starts from the same
        rows. It is if its file is damaged, or if it had too many rejected rows to be loaded.
        """
        source, landing = (getattr(context.resources, key) for key in (feed.source_key, feed.landing_key))
        variables = dict(config)
        refetch = variables.pop("refetch")
        digests = list[str]()
        for key in _keys(context):
            request = PartitionRequest(key, {**variables_of(feed.partitions, key), **variables})
            landed = landing.find(key)
            whole = feed.partitions is None  # its source may have changed
            fetched = (
                refetch or whole or landed is None or not _can_be_loaded(landed, landing, source, request)
            )
            if landed is None or fetched:
                landed = landing.land(key, partial(source.fetch, request))
            digests.append(landed.digest)
            metadata = landed_metadata(landed, landing, fetched=fetched)
            context.add_asset_metadata(metadata, partition_key=key or None)
        # Dagster takes one data version per run: a run of several partitions has none.
        yield dg.MaterializeResult(data_version=dg.DataVersion(digests[0]) if len(digests) == 1 else None)

    return asset


def _keys(context: dg.AssetExecutionContext) -> list[str]:
    """Return the run's partitions; of a feed without partitions, the one that is the whole."""
    return (
        list(context.partition_keys)
        if context.has_partition_key_range or context.has_partition_key
        else [WHOLE]
    )


def _can_be_loaded(
    landed: LandedPartition, landing: Landing, source: Source, request: PartitionRequest
) -> bool:
    expected = source.expected_rows(request)
    return expected in {None, landed.rows} and not landed.refused and landing.is_whole(landed)


def validated_assets(feed: FeedDeclaration) -> dg.AssetsDefinition:
    """Return the assets of both tables."""
    accepted, rejected = feed.tables.both

    class ValidationConfig(dg.Config):
        """How a partition is validated."""

        max_rejected_ratio: float = Field(
            default=feed.max_rejected_ratio,
            gt=0,
            le=1,
            description="Ratio of rejected rows at which the whole partition fails; rows loaded before are kept",
        )

    @dg.multi_asset(
        name=f"validated_{feed.name}",
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
        context: dg.AssetExecutionContext, config: ValidationConfig
    ) -> Iterator[dg.Output[PerPartition | Together] | dg.MaterializeResult[None]]:
        """Validate each row of a landed partition once, and load both tables in one transaction."""
        landing = getattr(context.resources, feed.landing_key)
        partitions = (
            LandedSlices(
                _landed(feed, key, landing),
                landing,
                feed.tables,
                max_rejected_ratio=config.max_rejected_ratio,
                min_rejected_rows=feed.min_rejected_rows,
                run_id=context.run.run_id,
            )
            for key in _keys(context)
        )
        slices = _slices(feed, context, partitions)
        if feed.partitions is None:
            _, value, known = next(slices)
            yield dg.Output(value, accepted.name, metadata=dict(known))
            next(slices, None)  # reports what was loaded
        else:
            yield dg.Output(PerPartition(slices), accepted.name)
        # Already committed: each partition together with its slice of the accepted rows.
        yield dg.MaterializeResult(asset_key=rejected.name)

    return assets


def _table(feed: FeedDeclaration, table: sa.Table, **more: Any) -> dg.AssetSpec:  # noqa: ANN401  (AssetSpec's types)
    spec = table_spec(
        table,
        feed.documentation,
        kinds={"postgres", "table"},
        owners=list(feed.owners),
        tags=dict(feed.tags),
        **more,
    )
    metadata: dict[str, Any] = {"preview_rows": _PREVIEW_ROWS}
    if feed.partitions is not None:
        metadata |= {"partition_expr": feed.tables.partition, "partition_by": "key"}
    if feed.hash_partitions is not None:
        metadata["hash_partitions"] = feed.hash_partitions
    return spec.merge_attributes(metadata=metadata)


def _landed(feed: FeedDeclaration, key: str, landing: Landing) -> LandedPartition:
    landed = landing.find(key)
    if landed is None:
        raise dg.Failure(
            f"{key} has no landed file in {landing.backend}. Materialize {feed.raw_asset} for it first.",
            allow_retries=False,
        )
    return landed


def _slices(
    feed: FeedDeclaration, context: dg.AssetExecutionContext, partitions: Iterable[LandedSlices]
) -> Iterator[tuple[str, Together, Mapping[str, RawMetadataValue]]]:
    accepted, rejected = feed.tables.both
    raw = dg.AssetKey(feed.raw_asset)
    for one in partitions:
        key, received = one.landed.partition, one.landed.rows
        yield key, one.slices(), {"source_rows": received, "digest": one.landed.digest}
        refused = one.validation.rejected
        context.log.info(
            "%s: %d rows received = %d loaded + %d rejected.",
            key,
            received,
            received - len(refused),
            len(refused),
        )
        loaded = loaded_metadata(one.landed, len(refused), raw, feed.tables.contract)
        context.add_asset_metadata(loaded, accepted.name, key or None)
        context.add_asset_metadata(rejected_metadata(refused, received), rejected.name, key or None)
