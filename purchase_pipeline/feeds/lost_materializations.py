"""Materializations that Dagster's catalog lost although their partitions are loaded.

The UI's Wipe button and `dagster asset wipe` delete an asset's materializations, and deleting a run deletes those that
it reported. The data and the ledger are unaffected, so the sensor and `ingest` report them again from the ledger.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

import dagster as dg

from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.ingest.ledger import LoadedPartition, Totals
from purchase_pipeline.stack.dagster_internals import DATA_VERSION_TAG

# A scan of 100,000 partitions takes the database 4 s, so it runs every ten minutes there; with 10,000, every minute.
_SHORTEST_INTERVAL = timedelta(seconds=20)
_INTERVAL_PER_PARTITION = timedelta(milliseconds=6)
# The daemon opens a connection per event (20 to 100 ms each), and requests no runs meanwhile.
_MOST_EVENTS_A_TICK = 30
_DESCRIPTION = (
    "Restored from the ledger: the partition is loaded, but its materialization was wiped or its run deleted."
)


class CatalogScan(NamedTuple):
    """Lost materializations to report, and when the next scan is due (ISO 8601)."""

    lost: list[dg.AssetMaterialization]
    next_scan: str


def find_lost_materializations(
    backlog: Backlog,
    loaded: Collection[str],
    instance: dg.DagsterInstance,
    *,
    due: str | None,
    now: datetime,
) -> CatalogScan:
    """Compare the loaded partitions with the catalog, if a scan is due.

    A run reports a partition after its commit, so `loaded` must not include partitions with a run in progress.
    """
    wait = max(_SHORTEST_INTERVAL, len(backlog.keys) * _INTERVAL_PER_PARTITION)
    if due and now < datetime.fromisoformat(due) <= now + wait:  # later than that: the clock was set back
        return CatalogScan([], due)
    lost = _lost_materializations(backlog, loaded, instance, most=_MOST_EVENTS_A_TICK)
    return CatalogScan(lost, (now if len(lost) == _MOST_EVENTS_A_TICK else now + wait).isoformat())


def restore_catalog(backlog: Backlog, instance: dg.DagsterInstance) -> int:
    """Report all lost materializations, except those of partitions in progress, and return their number."""
    if backlog.feed.partitions is None:
        return 0
    lost = _lost_materializations(backlog, set(backlog.loaded()) - backlog.in_progress(), instance)
    for event in lost:
        instance.report_runless_asset_event(event)
    return len(lost)


def _lost_materializations(
    backlog: Backlog, loaded: Collection[str], instance: dg.DagsterInstance, most: int | None = None
) -> list[dg.AssetMaterialization]:
    """Return the materializations that the catalog lacks, or the first ones of them."""
    lost = sorted(
        (key, asset.to_user_string())
        for asset in backlog.feed.assets
        for key in set(loaded) - instance.get_materialized_partitions(asset)
    )[:most]
    if not lost:
        return []
    known, stored = backlog.loaded_among(sorted({key for key, _ in lost})), backlog.stored()
    return [_materialization(backlog.feed, asset, known[key], stored) for key, asset in lost if key in known]


def _materialization(
    feed: FeedDeclaration, asset: str, one: LoadedPartition, stored: Totals
) -> dg.AssetMaterialization:
    accepted, rejected = feed.tables.both
    rows = {accepted.name: one.loaded, rejected.name: one.rejected}
    # Of rows that are merged by keys, the ledger does not know how many are left.
    in_table = {} if feed.write.merges else {accepted.name: stored.loaded, rejected.name: stored.rejected}
    return dg.AssetMaterialization(
        asset,
        description=_DESCRIPTION,
        partition=one.key,
        metadata={
            "dagster/partition_row_count": rows.get(asset, one.received),
            **({"dagster/row_count": in_table[asset]} if asset in in_table else {}),
            "source_rows": one.received,
            "rows_rejected": one.rejected,
            "committed_at": dg.MetadataValue.timestamp(one.committed_at),
            "loaded_by": dg.MetadataValue.dagster_run(one.run_id),
        },
        # A raw partition's data version is its digest; Dagster derives those of tables.
        tags={} if asset in rows else {DATA_VERSION_TAG: one.digest},
    )
