"""Back-off: when a batch that failed is requested again."""

from collections import Counter
from datetime import datetime, timedelta
from typing import NamedTuple

import dagster as dg

from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.ingest.printable import duration, few

DAEMON_INTERVAL_SECONDS = 5.0
"""How often Dagster's daemon looks whether a sensor is due."""

_FIRST_DELAY_SECONDS = 10.0
_LONGEST_DELAY_SECONDS = 3600.0
_DAY = timedelta(days=1)
# The tenth failure comes an hour and a half after the first, longer than most outages of an API or a database. A batch
# that still fails needs a person.
_MOST_FAILURES_A_DAY = 10


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
    return f"next attempt in {duration(max(seconds, DAEMON_INTERVAL_SECONDS))}"


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
            text += (
                f"; stopped for a day after {_MOST_FAILURES_A_DAY} failures: {few(long)}. "
                "Fix the cause that the last run's error shows, then materialize the batch in the UI or run "
                "`purchase-pipeline ingest`"
            )
        return text


def backed_off(backlog: Backlog, now: datetime) -> BackedOff:
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
