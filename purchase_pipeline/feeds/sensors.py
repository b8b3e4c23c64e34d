"""The sensor that requests runs for missing batches. It is stateless: each tick compares the target with the ledger."""

from datetime import UTC, datetime
from uuid import uuid4

import dagster as dg

from purchase_pipeline.feeds.backlog import ATTEMPT_TAG, Backlog
from purchase_pipeline.feeds.backoff import DAEMON_INTERVAL_SECONDS, backed_off
from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.feeds.lost_materializations import find_lost_materializations

_DESCRIPTION = """\
Missing batches: in the target, not loaded, not in progress, and not backed off after a failure.

Each tick starts from the database: failed batches are retried, wiped ones are loaded again, and a larger target loads
only the new ones. Materializations lost by Dagster's catalog are reported again; the cursor holds the time of the next
such scan, and nothing else.
"""


def ticks(every_seconds: float) -> tuple[int, int]:
    """Return the sensor's minimum interval in seconds, and the number of partitions to request per tick.

    Dagster's daemon checks every 5 s whether an interval has passed (measured, 1.13: an interval of 5 gives gaps of 5
    or 10 s, one of 4 gives 4.95 to 5.02). Slower cadences are rounded to 5 s; faster ones take several batches a tick.
    """
    if every_seconds < DAEMON_INTERVAL_SECONDS:
        return int(DAEMON_INTERVAL_SECONDS) - 1, round(DAEMON_INTERVAL_SECONDS / every_seconds)
    return int(every_seconds) - 1, 1


def missing_partitions(feed: FeedDeclaration) -> dg.SensorDefinition:
    """Return the sensor that requests runs for missing partitions."""
    interval, runs_a_tick = ticks(feed.every)

    @dg.sensor(
        name=feed.sensor,
        job_name=feed.job,
        description=_DESCRIPTION,
        minimum_interval_seconds=interval,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={feed.ledger_key},
    )
    # Called directly, as in tests, Dagster also passes the resources by name.
    def sensor(context: dg.SensorEvaluationContext, **_: object) -> dg.SensorResult:
        now = datetime.now(UTC)
        backlog = Backlog(feed, getattr(context.resources, feed.ledger_key), context.instance)
        target, not_loaded, in_progress = len(backlog.keys), backlog.missing(), backlog.in_progress()
        missing = [key for key in not_loaded if key not in in_progress]
        waiting = backed_off(backlog, now)
        chosen = [key for key in missing if key not in waiting.all][:runs_a_tick]
        summary = (
            f"{target - len(not_loaded)} of {target} batches loaded, {len(in_progress)} in progress, "
            f"{len(missing)} remaining{waiting.explained(missing)}"
        )
        context.log.info("%s; requesting %s.", summary, ", ".join(chosen) or "none")
        loaded = set(backlog.keys).difference(not_loaded, in_progress)
        scan = find_lost_materializations(backlog, loaded, context.instance, due=context.cursor, now=now)
        return dg.SensorResult(
            run_requests=[_request(backlog, key) for key in chosen],
            skip_reason=None if chosen else f"{summary}.",
            asset_events=scan.lost,
            cursor=scan.next_scan,
        )

    return sensor


def _request(backlog: Backlog, key: str) -> dg.RunRequest:
    """Request a run for a batch, with a unique run key.

    Dagster never starts a run key twice (dagster #15982), so each attempt needs its own. The attempt number alone is
    not unique, as runs can be deleted; the UUID is. After a crash the daemon resumes the tick with the same keys and
    run ids, so no batch is requested twice.
    """
    attempt = backlog.attempts(key) + 1
    return dg.RunRequest(
        run_key=f"{key}/{attempt}/{uuid4().hex}", partition_key=key, tags={ATTEMPT_TAG: str(attempt)}
    )
