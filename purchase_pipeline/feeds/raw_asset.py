"""The asset of a feed's raw partitions, as received."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import dagster as dg
from pydantic import Field, create_model

from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.feeds.increments import new_increment, pending_increment
from purchase_pipeline.feeds.metadata import fields_as_received, landed_metadata
from purchase_pipeline.feeds.partitions import keys_of, variables_of
from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.sources.request import PartitionRequest, Source
from purchase_pipeline.postgres.failures import expected_failures


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
    # Only increments need the database before they land: others land although it is away.
    resources = {feed.source_key, feed.landing_key, *([feed.ledger_key] if feed.has_increments else [])}

    @dg.asset(
        name=feed.raw_asset,
        deps=[feed.api_asset],
        partitions_def=feed.partitions,
        pool=feed.api_pool,
        group_name=feed.group,
        owners=list(feed.owners),
        tags=dict(feed.tags),
        kinds={"http", "file"},
        required_resource_keys=resources,
        metadata={"dagster/column_schema": fields_as_received(feed.tables.contract), **feed.pages},
    )
    def asset(
        context: dg.AssetExecutionContext,
        config: config_type,
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Partitions as the API sent them, one compressed file each.

        A partition that has landed completely is not requested again, so that every later step starts from the same
        rows. It is if its file is damaged, if it had too many rejected rows to be loaded, or if it is due again.
        """
        with expected_failures():
            digests = _land_each(feed, context, dict(config))
        # Dagster takes one data version per run: a run of several partitions has none.
        yield dg.MaterializeResult(data_version=dg.DataVersion(digests[0]) if len(digests) == 1 else None)

    return asset


def _land_each(
    feed: FeedDeclaration, context: dg.AssetExecutionContext, variables: dict[str, Any]
) -> list[str]:
    """Land each partition of the run that has not landed yet, and return the digests of all."""
    refetch = variables.pop("refetch")
    source, landing = (getattr(context.resources, key) for key in (feed.source_key, feed.landing_key))
    due = feed.due(feed.partition_keys(context.instance)) if feed.reload_windows else {}
    digests = list[str]()
    for key in keys_of(context):
        wanted = _wanted(feed, context, key, variables, due.get(key), refetch=refetch)
        landed = None if refetch else wanted.landed
        fetched = landed is None or not _can_be_loaded(landed, landing, source, wanted.request)
        if landed is None or fetched:
            landed = landing.land(wanted.name, partial(source.fetch, wanted.request))
        digests.append(landed.digest)
        metadata = landed_metadata(landed, landing, fetched=fetched)
        context.add_asset_metadata(metadata, partition_key=key or None)
    return digests


class _Wanted(NamedTuple):
    """A partition to land: its request, the name it lands by, and what has landed and may still be loaded."""

    request: PartitionRequest
    name: str
    landed: LandedPartition | None


def _wanted(  # noqa: PLR0913  (one for each condition)
    feed: FeedDeclaration,
    context: dg.AssetExecutionContext,
    key: str,
    variables: Mapping[str, Any],
    due: datetime | None,
    *,
    refetch: bool,
) -> _Wanted:
    landing: Landing = getattr(context.resources, feed.landing_key)
    if feed.has_increments:
        ledger = getattr(context.resources, feed.ledger_key)
        since = {}
        if feed.since is not None:
            since["since"] = feed.since.after(None if refetch else ledger.greatest(feed.since.field))
        request = PartitionRequest(key, {**variables, **since})
        return _Wanted(request, new_increment(), pending_increment(landing, ledger))
    request = PartitionRequest(key, {**variables_of(feed.partitions, key), **variables})
    if feed.partitions is None:  # the source may have changed
        return _Wanted(request, key, None)
    landed = landing.find(key)
    if landed is not None and due is not None and landed.received_at < due:
        landed = None
    return _Wanted(request, key, landed)


def _can_be_loaded(
    landed: LandedPartition, landing: Landing, source: Source, request: PartitionRequest
) -> bool:
    expected = source.expected_rows(request)
    complete = expected is None or all(page.rows == expected for page in landed.pages)
    return complete and not landed.refused and landing.is_whole(landed)
