"""Metrics of feeds and of Dagster's daemon for Prometheus, read when they are scraped.

Nothing is counted here: each value comes from the ledger or from Dagster's storage, so a restart resets none of them.
All are gauges, as rows and partitions can be deleted; moments are timestamps, from which Prometheus computes ages.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg
from prometheus_client.core import GaugeMetricFamily

from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.feeds.failing import Failing
from purchase_pipeline.feeds.partitions import end_of_window
from purchase_pipeline.ingest.ledger import LoadedPartition, totals

PREFIX = "purchase_pipeline"
_OF_A_FEED = {
    "partitions_target": "Partitions that exist now.",
    "partitions_loaded": "Partitions of the target that are loaded.",
    "partitions_missing": "Partitions of the target that are not loaded, or are due again.",
    "partitions_in_progress": "Partitions of the target with a queued or running run.",
    "partitions_failed": "Partitions that failed within the last day and were not loaded since, without a run.",
    "partitions_exhausted": "Failed partitions that are not tried again soon: ten failures, or only a schedule.",
    "rows_received": "Rows received in the loaded partitions.",
    "rows_loaded": "Rows accepted in the loaded partitions.",
    "rows_rejected": "Rows in quarantine of the loaded partitions.",
    "last_commit_timestamp_seconds": "When a partition was committed last.",
    "last_load_duration_seconds": "Seconds from the start of the run to the newest commit.",
    "last_load_queued_seconds": "Seconds that the run of the newest commit waited before it started.",
    "oldest_missing_timestamp_seconds": "End of the oldest missing time window.",
    "sensor_last_tick_timestamp_seconds": "When the sensor of missing partitions was evaluated last.",
    "sensor_last_tick_duration_seconds": "Seconds of the sensor's last evaluation.",
}


def metrics_of(backlogs: Sequence[Backlog], instance: dg.DagsterInstance) -> Iterator[GaugeMetricFamily]:
    """Yield the metrics of feeds, with the label `feed`, and of Dagster's daemon."""
    now = datetime.now(UTC)
    values = {
        backlog.feed.name: {**_values(backlog, now), **_last_tick(backlog.feed.sensor, instance)}
        for backlog in backlogs
    }
    for name, description in _OF_A_FEED.items():
        known = {feed: of_feed[name] for feed, of_feed in values.items() if name in of_feed}
        yield _family(name, description, "feed", known)
    beats = {daemon: beat.timestamp for daemon, beat in instance.get_daemon_heartbeats().items()}
    yield _family(
        "daemon_heartbeat_timestamp_seconds", "When Dagster's daemon last reported.", "daemon", beats
    )


def _family(name: str, description: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", description, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _values(backlog: Backlog, now: datetime) -> dict[str, float]:
    loaded = backlog.loaded()
    missing = backlog.missing_beside({key: one.committed_at for key, one in loaded.items()})
    in_progress = backlog.in_progress()
    failing = Failing(backlog, now)
    rows = totals(loaded.values())
    return {
        "partitions_target": len(backlog.keys),
        "partitions_loaded": len(loaded),
        "partitions_missing": len(missing),
        "partitions_in_progress": len(in_progress),
        "partitions_failed": len(failing.runs.keys() - in_progress),
        "partitions_exhausted": len(failing.given_up),
        **{f"rows_{name}": count for name, count in rows._asdict().items()},
        **_newest(backlog, loaded),
        **_oldest(backlog, missing),
    }


def _newest(backlog: Backlog, loaded: Mapping[str, LoadedPartition]) -> dict[str, float]:
    newest = max(loaded.values(), key=lambda one: one.committed_at, default=None)
    if newest is None:
        return {}
    known = {"last_commit_timestamp_seconds": newest.committed_at.timestamp()}
    if taken := backlog.taken(newest):
        known |= {"last_load_duration_seconds": taken.ran, "last_load_queued_seconds": taken.queued}
    return known


def _oldest(backlog: Backlog, missing: Sequence[str]) -> dict[str, float]:
    partitions = backlog.feed.partitions
    if not missing or not isinstance(partitions, dg.TimeWindowPartitionsDefinition):
        return {}
    return {"oldest_missing_timestamp_seconds": end_of_window(partitions, missing[0]).timestamp()}


def _last_tick(sensor: str, instance: dg.DagsterInstance) -> dict[str, float]:
    """Return when a sensor was evaluated last, and for how long; the newest tick may still be running."""
    states = [state for state in instance.all_instigator_state() if state.instigator_name == sensor]
    ticks = [
        (tick.timestamp, tick.end_timestamp)
        for state in states
        for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2)
        if tick.end_timestamp is not None
    ]
    if not ticks:
        return {}
    began, ended = max(ticks)
    return {
        "sensor_last_tick_timestamp_seconds": began,
        "sensor_last_tick_duration_seconds": ended - began,
    }
