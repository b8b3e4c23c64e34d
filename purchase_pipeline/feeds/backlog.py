"""The backlog: which batches are loaded, missing, failed or in progress."""

from collections.abc import Iterator, KeysView, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import dagster as dg

from purchase_pipeline.feeds.run_errors import reason_of
from purchase_pipeline.ingest.ledger import LotCount, LotLedger
from purchase_pipeline.ingest.tables import COMPRAS_REJEITADAS, TABELA_COMPRAS
from purchase_pipeline.stack.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    AUTO_RETRY_RUN_ID_TAG,
    NOT_FINISHED_STATUSES,
    PARTITION_NAME_TAG,
)

_RETRY_WAIT = timedelta(minutes=1)
_CHECKED_LOTS = 10_000  # per tick, every 5 s; takes 0.1 s
_FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
LOADED_ASSETS = {
    dg.AssetKey(name) for name in ("raw_purchases", TABELA_COMPRAS.name, COMPRAS_REJEITADAS.name)
}


class FailedRun(NamedTuple):
    """A failed run; `what` is its batch, or its job if it has no single batch."""

    run_id: str
    what: str
    reason: str


def loads_lots(run: dg.DagsterRun) -> bool:
    """Return whether a run loads batches; runs of the sales sums have the same partitions."""
    return not run.asset_selection or bool(run.asset_selection & LOADED_ASSETS)


def lote_of(run: dg.DagsterRun) -> str:
    """Return the batch that a run loads; '' for a run of several, or of another job."""
    return run.tags.get(PARTITION_NAME_TAG, "") if loads_lots(run) else ""


class Backlog:
    """Reads loaded batches from the ledger, and runs from Dagster."""

    def __init__(self, lots: list[str], ledger: LotLedger, instance: dg.DagsterInstance) -> None:
        self.lots = lots
        self._positions = {lote: position for position, lote in enumerate(lots)}
        self._ledger = ledger
        self._instance = instance

    def loaded(self) -> dict[str, LotCount]:
        """Return the loaded batches of the target."""
        found = self._ledger.loaded_lots()
        return {lote: found[lote] for lote in self.lots if lote in found}

    def counted(self) -> dict[str, LotCount]:
        """Return the loaded batches of the target, with rows counted in the tables."""
        return self._ledger.counted_lots(list(self.loaded()))

    def beyond_target(self) -> list[str]:
        """Return the loaded batches beyond the target: the number of batches was reduced."""
        return sorted(self._ledger.loaded_names(checked_ratio=1) - self._positions.keys())

    def loaded_lot(self, lote: str) -> LotCount | None:
        """Return a batch, or None if it is not loaded."""
        return self.loaded_among([lote]).get(lote)

    def loaded_among(self, lots: Sequence[str]) -> dict[str, LotCount]:
        """Return which of the given batches are loaded."""
        return self._ledger.loaded_lots(lots)

    def loaded_since(self, newest_known: datetime | None) -> list[LotCount]:
        """Return the batches of the target that may have been committed since a commit, or all; in commit order."""
        found = self._ledger.loaded_lots(newest_known=newest_known).values()
        return sorted((lot for lot in found if lot.lote in self._positions), key=lambda lot: lot.committed_at)

    def missing(self) -> list[str]:
        """Return the batches of the target that are not loaded. Called at every tick.

        With up to 10,000 batches a wiped one is found at once; with more, within a few ticks.
        """
        loaded = self._ledger.loaded_names(checked_ratio=min(1.0, _CHECKED_LOTS / max(1, len(self.lots))))
        return [lote for lote in self.lots if lote not in loaded]

    def in_progress(self) -> set[str]:
        """Return the batches of the target with a run that is queued, running, or about to be retried by Dagster."""
        runs = self._instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
        running = {lote for run in runs for lote in self._lots_of(run)}
        return (running | self._awaiting_retry()) & self._positions.keys()

    def _lots_of(self, run: dg.DagsterRun) -> list[str]:
        """Return the batches that a run loads: one, or a range."""
        if not loads_lots(run):
            return []
        ends = [run.tags.get(tag) for tag in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)]
        positions = [self._positions[lote] for lote in ends if lote in self._positions]
        return self.lots[min(positions) : max(positions) + 1] if positions else [lote_of(run)]

    def _awaiting_retry(self) -> set[str]:
        """Return the batches whose failed run Dagster marked for a retry that has not started yet.

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
        lots = [lote_of(record.dagster_run) for record in waiting]
        loaded = self._ledger.loaded_lots(lots) if waiting else {}
        return {
            lote
            for record in waiting
            if (lote := lote_of(record.dagster_run)) not in loaded
            or loaded[lote].committed_at < record.update_timestamp
        }

    def failures(self, since: datetime) -> list[dg.RunRecord]:
        """Return failed and cancelled runs of the target created after `since`, oldest first."""
        return self._failed(dg.RunsFilter(statuses=_FAILED, created_after=since))

    def _failed(self, runs: dg.RunsFilter) -> list[dg.RunRecord]:
        records = self._instance.get_run_records(runs, ascending=True)
        return [record for record in records if lote_of(record.dagster_run) in self._positions]

    def own_failures(self, since: datetime) -> list[dg.RunRecord]:
        """Return the failures that Dagster does not retry itself, as it does when a run's process dies."""
        return [
            record for record in self.failures(since) if AUTO_RETRY_RUN_ID_TAG not in record.dagster_run.tags
        ]

    def attempts(self, lote: str) -> int:
        """Return the number of runs of a batch, without deleted ones."""
        return len(self._runs_of(lote))

    def explain(self, run: dg.DagsterRun) -> FailedRun:
        """Return a failed run with its reason."""
        return FailedRun(run.run_id, lote_of(run) or run.job_name, reason_of(run.run_id, self._instance))

    def seconds_taken(self, lot: LotCount) -> float | None:
        """Return the seconds from the run's request to the batch's commit, or None if the run was deleted."""
        record = self._instance.get_run_record_by_id(lot.run_id)
        return (lot.committed_at - record.create_timestamp).total_seconds() if record else None

    def _runs_of(self, lote: str) -> list[dg.RunRecord]:
        records = self._instance.get_run_records(dg.RunsFilter(tags={PARTITION_NAME_TAG: lote}))
        return [record for record in records if loads_lots(record.dagster_run)]


class NewCommits:
    """Follows the commits of missing batches.

    A poll reads only what may have been committed since the newest known commit, so its cost does not grow with the
    number of loaded batches.
    """

    def __init__(self, backlog: Backlog, known: Mapping[str, LotCount]) -> None:
        self._backlog = backlog
        self._missing = dict.fromkeys(lote for lote in backlog.lots if lote not in known)
        self._newest = max((lot.committed_at for lot in known.values()), default=None)

    @property
    def missing(self) -> KeysView[str]:
        """Batches not loaded yet, in the order of the backlog."""
        return self._missing.keys()

    @property
    def loaded(self) -> int:
        """Number of loaded batches, including those known at first."""
        return len(self._backlog.lots) - len(self._missing)

    def poll(self) -> Iterator[LotCount]:
        """Yield newly loaded batches; one that is not consumed is yielded by the next poll."""
        for lot in self._backlog.loaded_since(self._newest):
            if lot.lote in self._missing:
                del self._missing[lot.lote]
                self._newest = lot.committed_at
                yield lot
