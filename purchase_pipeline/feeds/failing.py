"""What of a feed fails now: batches that failed and are not loaded since, and those that nothing tries again."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property

import dagster as dg

from purchase_pipeline.feeds.backlog import Backlog, FailedRun
from purchase_pipeline.feeds.backoff import backed_off
from purchase_pipeline.feeds.partitions import WHOLE

# Most failures end by themselves sooner: attempts follow after 10, 20, 40, 80 and 160 s.
_PATIENCE = timedelta(minutes=5)
_DAY = timedelta(days=1)
_EXPLAINED = 50  # batches whose reason is read at a time: each is a query


class Failing:
    """The failing batches of a feed at one moment, each read when it is first needed."""

    def __init__(self, backlog: Backlog, now: datetime) -> None:
        self.feed, self.now = backlog.feed, now
        self._backlog = backlog

    @cached_property
    def runs(self) -> Mapping[str, Sequence[dg.RunRecord]]:
        """The failed runs of the last day of each batch that was not loaded since, oldest first."""
        failed = defaultdict[str, list[dg.RunRecord]](list)
        for record in self._backlog.failures(self.now - _DAY):
            failed[self._backlog.partition_of(record.dagster_run)].append(record)
        committed = self._committed(list(failed))
        unresolved = {
            key: [one for one in records if key not in committed or committed[key] < one.update_timestamp]
            for key, records in failed.items()
        }
        return {key: records for key, records in unresolved.items() if records}

    @cached_property
    def given_up(self) -> set[str]:
        """The failing batches that nothing tries again soon: after ten failures, or with a schedule alone."""
        if self.feed.partitions is None:
            return set(self.runs)
        return backed_off(self._backlog, self.now).for_a_day & self.runs.keys()

    def persistent(self, known: Collection[str]) -> Iterator[tuple[str, datetime, FailedRun]]:
        """Yield batches that need a person, other than those known: key, first failure, newest failed run.

        They have been failing for some minutes and are not being tried now, or are given up.
        """
        in_progress = self._backlog.in_progress() if self.runs.keys() - set(known) else set[str]()
        keys = [
            key
            for key, records in self.runs.items()
            if key not in known
            and (
                key in self.given_up
                or (key not in in_progress and self.now - records[0].update_timestamp >= _PATIENCE)
            )
        ]
        for key in keys[:_EXPLAINED]:
            records = self.runs[key]
            yield key, records[0].update_timestamp, self.explain(key)

    def explain(self, key: str) -> FailedRun:
        """Return the newest failed run of a failing batch, with its reason."""
        return self._backlog.explain(self.runs[key][-1].dagster_run)

    def ended(self, keys: Sequence[str], since: datetime) -> set[str]:
        """Return the batches that were loaded since, or are not part of the target any more."""
        committed, target = self._committed(keys), {*self._backlog.keys, WHOLE}
        return {
            key
            for key in keys
            if key not in self.runs and ((key in committed and committed[key] > since) or key not in target)
        }

    def _committed(self, keys: Sequence[str]) -> dict[str, datetime]:
        """Return when each batch was committed; of a feed by increments, the newest one."""
        if keys and self.feed.has_increments:
            newest = max((one.committed_at for one in self._backlog.loaded().values()), default=None)
            return {} if newest is None else {WHOLE: newest}
        return (
            {key: one.committed_at for key, one in self._backlog.loaded_among(keys).items()} if keys else {}
        )
