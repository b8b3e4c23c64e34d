"""The backlog of a feed: which partitions are loaded, missing, failed or in progress."""

from collections.abc import Collection, Iterator, KeysView, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import dagster as dg

from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.feeds.partitions import WHOLE
from purchase_pipeline.feeds.run_errors import reason_of
from purchase_pipeline.ingest.ledger import Ledger, LoadedPartition, Totals, totals
from purchase_pipeline.stack.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    AUTO_RETRY_RUN_ID_TAG,
    NOT_FINISHED_STATUSES,
    PARTITION_NAME_TAG,
)

ATTEMPT_TAG = "attempt"
_RETRY_WAIT = timedelta(minutes=1)
_CHECKED_PARTITIONS = 10_000  # per tick, every 5 s; takes 0.1 s
_FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


class FailedRun(NamedTuple):
    """A failed run.

    Attributes:
        run_id: Dagster's id of the run.
        what: its partition, or its job if it has no single partition.
        reason: what happened, without the name of the partition.
        error: class of the error, '' if none was recorded.
        attempt: number of the sensor's request for the partition, 0 if the sensor did not request it.
    """

    run_id: str
    what: str
    reason: str
    error: str = ""
    attempt: int = 0


class Taken(NamedTuple):
    """Seconds from the start of a run to the commit of its partition, and those that the run waited before."""

    ran: float
    queued: float = 0.0


class Backlog:
    """Reads a feed's loaded partitions from the ledger, and its runs from Dagster."""

    def __init__(self, feed: FeedDeclaration, ledger: Ledger, instance: dg.DagsterInstance) -> None:
        self.feed = feed
        self._ledger = ledger
        self._instance = instance
        self.keys = sorted(self._loaded_keys()) if feed.has_increments else feed.partition_keys(instance)
        # The runs of increments have no partition, and load what has not existed before.
        self._positions = {
            key: place for place, key in enumerate([WHOLE] if feed.has_increments else self.keys)
        }

    def _is_wanted(self, key: str) -> bool:
        return self.feed.has_increments or key in self._positions

    def _loaded_keys(self, checked_ratio: float = 1) -> dict[str, datetime]:
        return self._ledger.loaded_keys(checked_ratio)

    def partition_of(self, run: dg.DagsterRun) -> str:
        """Return the partition that a run loads; '' for a run of several, or of another job."""
        return run.tags.get(PARTITION_NAME_TAG, "") if self._loads(run) else ""

    def _loads(self, run: dg.DagsterRun) -> bool:
        """Return whether a run loads partitions of the feed; other feeds and assets may have the same partitions."""
        if run.asset_selection:
            return bool(run.asset_selection & self.feed.assets)
        return run.job_name == self.feed.job

    def loaded(self) -> dict[str, LoadedPartition]:
        """Return the loaded partitions of the target."""
        found = self._ledger.loaded()
        return {key: found[key] for key in self.keys if key in found}

    def counted(self) -> dict[str, LoadedPartition]:
        """Return the loaded partitions of the target, with rows counted in the tables."""
        return self._ledger.counted(list(self.loaded()))

    def stored(self) -> Totals:
        """Return the rows of all loaded partitions in the tables, also of those beyond the target."""
        loaded = self._ledger.loaded().values()
        return totals(one._replace(rejected=0) if one.rejects_pruned_at else one for one in loaded)

    def beyond_target(self) -> list[str]:
        """Return the loaded partitions beyond the target: the number of partitions was reduced."""
        return sorted(key for key in self._loaded_keys() if not self._is_wanted(key))

    def loaded_partition(self, key: str) -> LoadedPartition | None:
        """Return a partition, or None if it is not loaded."""
        return self.loaded_among([key]).get(key)

    def loaded_among(self, keys: Sequence[str]) -> dict[str, LoadedPartition]:
        """Return which of the given partitions are loaded."""
        return self._ledger.loaded(keys)

    def loaded_since(self, newest_known: datetime | None) -> list[LoadedPartition]:
        """Return the partitions of the target that may have been committed since a commit, or all; in commit order."""
        found = self._ledger.loaded(newest_known=newest_known).values()
        return sorted((one for one in found if self._is_wanted(one.key)), key=lambda one: one.committed_at)

    def missing(self) -> list[str]:
        """Return the partitions of the target that are not loaded, or are due again. Called at every tick.

        With up to 10,000 partitions a wiped one is found at once; with more, within a few ticks.
        """
        return self.missing_beside(
            self._loaded_keys(checked_ratio=min(1.0, _CHECKED_PARTITIONS / max(1, len(self.keys))))
        )

    def missing_beside(self, committed: Mapping[str, datetime]) -> list[str]:
        """Return the partitions of the target that are not among those committed, or are due again."""
        due = self.feed.due(self.keys)
        return [key for key in self.keys if key not in committed or (due and committed[key] < due[key])]

    def again(self, loaded: Mapping[str, LoadedPartition]) -> list[str]:
        """Return the loaded partitions that the next `ingest` loads again: those that are due, and a whole."""
        if self.feed.partitions is None:
            return [] if self.feed.has_increments else list(loaded)
        due = self.feed.due(self.keys)
        return [key for key, one in loaded.items() if due and one.committed_at < due[key]]

    def in_progress(self) -> set[str]:
        """Return the partitions of the target with a run that is queued, running, or about to be retried by Dagster."""
        runs = self._instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
        running = {key for run in runs for key in self._partitions_of(run)}
        return (running | self._awaiting_retry()) & self._positions.keys()

    def _partitions_of(self, run: dg.DagsterRun) -> list[str]:
        """Return the partitions that a run loads: one, or a range."""
        if not self._loads(run):
            return []
        ends = [run.tags.get(tag) for tag in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)]
        positions = [self._positions[key] for key in ends if key in self._positions]
        return self.keys[min(positions) : max(positions) + 1] if positions else [self.partition_of(run)]

    def _awaiting_retry(self) -> set[str]:
        """Return the partitions whose failed run Dagster marked for a retry that has not started yet.

        The daemon retries within seconds of the failure. If none is running, or its cursor is past the failure, it
        never does, so the mark expires after a minute.
        """
        now = datetime.now(UTC)
        failed = self._failed(dg.RunsFilter(statuses=_FAILED, updated_after=now - _RETRY_WAIT))
        waiting = [
            record
            for record in failed
            if record.dagster_run.is_complete_and_waiting_to_retry
            and record.update_timestamp < now + _RETRY_WAIT  # otherwise the clock was set back since
        ]
        keys = [self.partition_of(record.dagster_run) for record in waiting]
        loaded = self._ledger.loaded(keys) if waiting else {}
        return {
            key
            for key, record in zip(keys, waiting, strict=True)
            if key not in loaded or loaded[key].committed_at < record.update_timestamp
        }

    def failures(self, since: datetime) -> list[dg.RunRecord]:
        """Return failed and cancelled runs of the target created after `since`, oldest first."""
        return self._failed(dg.RunsFilter(statuses=_FAILED, created_after=since))

    def _failed(self, runs: dg.RunsFilter) -> list[dg.RunRecord]:
        records = self._instance.get_run_records(runs, ascending=True)
        ours = [record for record in records if self._loads(record.dagster_run)]
        return [record for record in ours if self.partition_of(record.dagster_run) in self._positions]

    def own_failures(self, since: datetime) -> list[dg.RunRecord]:
        """Return the failures that Dagster does not retry itself, as it does when a run's process dies."""
        return [
            record for record in self.failures(since) if AUTO_RETRY_RUN_ID_TAG not in record.dagster_run.tags
        ]

    def attempts(self, key: str) -> int:
        """Return the number of runs of a partition, without deleted ones."""
        return len(self._runs_of(key))

    def explain(self, run: dg.DagsterRun) -> FailedRun:
        """Return a failed run with its reason."""
        what, reason = self.partition_of(run) or run.job_name, reason_of(run.run_id, self._instance)
        attempt = int(run.tags.get(ATTEMPT_TAG, 0))
        return FailedRun(run.run_id, what, reason.message.removeprefix(f"{what}: "), reason.error, attempt)

    def taken(self, one: LoadedPartition) -> Taken | None:
        """Return how long the partition's run took until its commit, or None if the run was deleted."""
        record = self._instance.get_run_record_by_id(one.run_id)
        if record is None or record.start_time is None:
            return None
        queued = record.start_time - record.create_timestamp.timestamp()
        return Taken(one.committed_at.timestamp() - record.start_time, queued)

    def _runs_of(self, key: str) -> list[dg.RunRecord]:
        records = self._instance.get_run_records(dg.RunsFilter(tags={PARTITION_NAME_TAG: key}))
        return [record for record in records if self._loads(record.dagster_run)]


class NewCommits:
    """Follows the commits of missing partitions, of increments, and of a table that is loaded whole.

    A poll reads only what may have been committed since the newest known commit, so its cost does not grow with the
    number of loaded partitions.
    """

    def __init__(
        self, backlog: Backlog, known: Mapping[str, LoadedPartition], again: Collection[str] = ()
    ) -> None:
        self._backlog = backlog
        self._known = {key: one.committed_at for key, one in known.items()}
        self._missing = dict.fromkeys(key for key in backlog.keys if key not in known or key in again)
        self._newest = max((one.committed_at for one in known.values()), default=None)

    @property
    def missing(self) -> KeysView[str]:
        """Batches not loaded yet, in the order of the backlog."""
        return self._missing.keys()

    @property
    def loaded(self) -> int:
        """Number of loaded partitions, including those known at first."""
        return len(self._known) - len(self._missing.keys() & self._known.keys())

    def poll(self) -> Iterator[LoadedPartition]:
        """Yield what was committed, for the first time or again; what is not consumed is yielded by the next poll."""
        for one in self._backlog.loaded_since(self._newest):
            before = self._known.get(one.key)
            if before is None or before < one.committed_at:
                self._missing.pop(one.key, None)
                self._known[one.key] = self._newest = one.committed_at
                yield one
