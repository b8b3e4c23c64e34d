"""The sensor that requests runs for missing batches. It is stateless: each tick compares the target with the ledger."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

import dagster as dg

from purchase_pipeline.feeds.backlog import ATTEMPT_TAG, Backlog
from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.feeds.lost_materializations import find_lost_materializations
from purchase_pipeline.ingest.printable import duration

_DAEMON_INTERVAL_SECONDS = 5.0
_FIRST_DELAY_SECONDS = 10.0
_LONGEST_DELAY_SECONDS = 3600.0
_DAY = timedelta(days=1)
# The tenth failure comes an hour and a half after the first, longer than most outages of an API or a database. A batch
# that still fails needs a person.
_MOST_FAILURES_A_DAY = 10
_NAMED = 5
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
    if every_seconds < _DAEMON_INTERVAL_SECONDS:
        return int(_DAEMON_INTERVAL_SECONDS) - 1, round(_DAEMON_INTERVAL_SECONDS / every_seconds)
    return int(every_seconds) - 1, 1


def delay_after(failures: int) -> timedelta:
    """Return how long to back off after a number of failures: 10 s, doubling up to one hour."""
    return timedelta(seconds=min(_FIRST_DELAY_SECONDS * 2.0 ** (failures - 1), _LONGEST_DELAY_SECONDS))


def retry_of(backlog: Backlog, failed: dg.RunRecord, now: datetime) -> str:
    """Return when the sensor requests the partition of a failed run again, in words."""
    if failed.dagster_run.is_complete_and_waiting_to_retry:
        return "Dagster retries the run within a minute"
    key = backlog.partition_of(failed.dagster_run)
    own = backlog.own_failures(now - _DAY)
    failures = sum(backlog.partition_of(record.dagster_run) == key for record in own)
    if failures >= _MOST_FAILURES_A_DAY:
        return f"stopped for a day after {failures} failures"
    seconds = (failed.update_timestamp + delay_after(max(failures, 1)) - now).total_seconds()
    return f"next attempt in {duration(max(seconds, _DAEMON_INTERVAL_SECONDS))}"


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
        backed_off = _backed_off(backlog, now)
        chosen = [key for key in missing if key not in backed_off.all][:runs_a_tick]
        summary = (
            f"{target - len(not_loaded)} of {target} batches loaded, {len(in_progress)} in progress, "
            f"{len(missing)} remaining{backed_off.explained(missing)}"
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


class BackedOff(NamedTuple):
    """Batches not requested yet, because of a recent failure or too many failures within a day."""

    for_a_while: set[str]
    for_a_day: set[str]

    @property
    def all(self) -> set[str]:
        """Both."""
        return self.for_a_while | self.for_a_day

    def explained(self, missing: list[str]) -> str:
        """Describe the missing batches that are backed off, and what to do about those stopped for a day."""
        long = [key for key in missing if key in self.for_a_day]
        short = len(self.for_a_while & set(missing))
        text = f" ({short} backing off after a failure)" if short else ""
        if long:
            more = f" and {len(long) - _NAMED} more" if len(long) > _NAMED else ""
            text += (
                f"; stopped for a day after {_MOST_FAILURES_A_DAY} failures: {', '.join(long[:_NAMED])}{more}. "
                "Fix the cause that the last run's error shows, then materialize the batch in the UI or run "
                "`purchase-pipeline ingest`"
            )
        return text


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


def _backed_off(backlog: Backlog, now: datetime) -> BackedOff:
    """Return the backed-off batches, by the failures of the last day that Dagster did not retry itself.

    A failure further in the future than its delay is from before the clock was set back, and is ignored.
    """
    failed = backlog.own_failures(since=now - _DAY)
    failures = Counter(backlog.partition_of(record.dagster_run) for record in failed)
    stopped = {key for key, count in failures.items() if count >= _MOST_FAILURES_A_DAY}
    recent = {
        key
        for record in failed
        if abs(now - record.update_timestamp)
        < delay_after(failures[key := backlog.partition_of(record.dagster_run)])
    }
    return BackedOff(recent - stopped, stopped)
