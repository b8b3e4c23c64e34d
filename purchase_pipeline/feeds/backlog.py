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
_LOOKED_UP = 10_000  # lots; a tick, each 5 s, takes a tenth of a second for them
_FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
LOADED_ASSETS = {
    dg.AssetKey(name) for name in ("raw_purchases", TABELA_COMPRAS.name, COMPRAS_REJEITADAS.name)
}


class FailedRun(NamedTuple):
    """A run that did not do what it was for: its lot, or where that is not one lot, its job."""

    run_id: str
    what: str
    reason: str


def loads_lots(run: dg.DagsterRun) -> bool:
    """Tell whether a run is to load lots, and not to sum up those that are loaded: both have lots as partitions."""
    return not run.asset_selection or bool(run.asset_selection & LOADED_ASSETS)


def lote_of(run: dg.DagsterRun) -> str:
    """Return the lot that a run is for; '' for a run of several, or of another kind."""
    return run.tags.get(PARTITION_NAME_TAG, "") if loads_lots(run) else ""


class Backlog:
    """Reads the ledger for what is loaded, and Dagster for what is not."""

    def __init__(self, lots: list[str], ledger: LotLedger, instance: dg.DagsterInstance) -> None:
        self.lots = lots
        self._places = {lote: place for place, lote in enumerate(lots)}
        self._ledger = ledger
        self._instance = instance

    def loaded(self) -> dict[str, LotCount]:
        """Return the wanted lots that are loaded."""
        found = self._ledger.loaded_lots()
        return {lote: found[lote] for lote in self.lots if lote in found}

    def counted(self) -> dict[str, LotCount]:
        """Return the wanted lots that are loaded, with rows counted in the tables themselves."""
        return self._ledger.counted_lots(list(self.loaded()))

    def beyond_target(self) -> list[str]:
        """Return the lots that are loaded and not wanted: the number of lots was greater once."""
        return sorted(self._ledger.loaded_names(share=1) - self._places.keys())

    def loaded_lot(self, lote: str) -> LotCount | None:
        """Return one lot; None: it is not loaded."""
        return self.loaded_among([lote]).get(lote)

    def loaded_among(self, lots: Sequence[str]) -> dict[str, LotCount]:
        """Return those of some lots that are loaded."""
        return self._ledger.loaded_lots(lots)

    def loaded_since(self, newest_known: datetime | None) -> list[LotCount]:
        """Return the wanted lots that may have been loaded since a commit, or all; in the order of their commits."""
        found = self._ledger.loaded_lots(newest_known=newest_known).values()
        return sorted((lot for lot in found if lot.lote in self._places), key=lambda lot: lot.committed_at)

    def missing(self) -> list[str]:
        """Return the wanted lots that are not loaded: what a tick asks for, every few seconds.

        Of at most 10,000 lots, one that somebody wiped is among them at once; of more, at one of the next ticks.
        """
        loaded = self._ledger.loaded_names(share=min(1.0, _LOOKED_UP / max(1, len(self.lots))))
        return [lote for lote in self.lots if lote not in loaded]

    def in_flight(self) -> set[str]:
        """Return the wanted lots of which a run is queued or under way, or about to be retried by Dagster."""
        runs = self._instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
        under_way = {lote for run in runs for lote in self._lots_of(run)}
        return (under_way | self._about_to_be_retried()) & self._places.keys()

    def _lots_of(self, run: dg.DagsterRun) -> list[str]:
        """Return the lots that a run is to load: one, or all of a range."""
        if not loads_lots(run):
            return []
        ends = [run.tags.get(tag) for tag in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)]
        places = [self._places[lote] for lote in ends if lote in self._places]
        return self.lots[min(places) : max(places) + 1] if places else [lote_of(run)]

    def _about_to_be_retried(self) -> set[str]:
        """Return the lots of which Dagster has said that it will retry a run, and has not; nor were they loaded since.

        Its daemon does so within seconds of the failure. Where none runs, or its cursor has passed the failure, it
        never does: so the word is kept waiting for, but not for long.
        """
        now = datetime.now(UTC)
        failed = self._failed(dg.RunsFilter(statuses=_FAILED, updated_after=now - _RETRY_WAIT))
        waiting = [
            record
            for record in failed
            if record.dagster_run.is_complete_and_waiting_to_retry
            and record.update_timestamp < now + _RETRY_WAIT  # else noted before the clock was set back
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
        """Return the runs of wanted lots, begun since a moment, that failed or were cancelled; the oldest first."""
        return self._failed(dg.RunsFilter(statuses=_FAILED, created_after=since))

    def _failed(self, runs: dg.RunsFilter) -> list[dg.RunRecord]:
        records = self._instance.get_run_records(runs, ascending=True)
        return [record for record in records if lote_of(record.dagster_run) in self._places]

    def own_failures(self, since: datetime) -> list[dg.RunRecord]:
        """Return those failures that Dagster did not retry by itself, as it does when a run's process died."""
        return [
            record for record in self.failures(since) if AUTO_RETRY_RUN_ID_TAG not in record.dagster_run.tags
        ]

    def attempts(self, lote: str) -> int:
        """Return how many runs there were to load a lot, of those that nobody has deleted."""
        return len(self._runs_of(lote))

    def explain(self, run: dg.DagsterRun) -> FailedRun:
        """Return a failed run with its reason."""
        return FailedRun(run.run_id, lote_of(run) or run.job_name, reason_of(run.run_id, self._instance))

    def seconds_taken(self, lot: LotCount) -> float | None:
        """Return the seconds from the request of the run that loaded a lot to its commit; None: it was deleted."""
        record = self._instance.get_run_record_by_id(lot.run_id)
        return (lot.committed_at - record.create_timestamp).total_seconds() if record else None

    def _runs_of(self, lote: str) -> list[dg.RunRecord]:
        records = self._instance.get_run_records(dg.RunsFilter(tags={PARTITION_NAME_TAG: lote}))
        return [record for record in records if loads_lots(record.dagster_run)]


class NewCommits:
    """The wanted lots that are still missing, and each that is not any more.

    A look asks for what may have been committed since the newest commit it knows: it costs the same, however many lots
    are known already.
    """

    def __init__(self, backlog: Backlog, known: Mapping[str, LotCount]) -> None:
        self._backlog = backlog
        self._missing = dict.fromkeys(lote for lote in backlog.lots if lote not in known)
        self._newest = max((lot.committed_at for lot in known.values()), default=None)

    @property
    def missing(self) -> KeysView[str]:
        """The lots that have not arrived, in the order of the backlog."""
        return self._missing.keys()

    @property
    def arrived(self) -> int:
        """How many lots have, with those that were known at first."""
        return len(self._backlog.lots) - len(self._missing)

    def look(self) -> Iterator[LotCount]:
        """Yield the lots that have arrived; one that is not taken is yielded by the next look."""
        for lot in self._backlog.loaded_since(self._newest):
            if lot.lote in self._missing:
                del self._missing[lot.lote]
                self._newest = lot.committed_at
                yield lot
