"""A campaign as a person watches it: lots told as they are committed, failures as they happen, and when to give up."""

from collections import Counter
from collections.abc import KeysView
from datetime import UTC, datetime

from purchase_pipeline.feeds.backlog import Backlog, NewCommits, lote_of
from purchase_pipeline.ingest.ledger import LotCount
from purchase_pipeline.ops.console import LiveProgress

FAILURES_TO_GIVE_UP = 3


class CampaignWatch:
    """What has been told of a campaign so far."""

    def __init__(self, campaign: Backlog, progress: LiveProgress, loaded: dict[str, LotCount]) -> None:
        self._campaign = campaign
        self._progress = progress
        self._arrivals = NewCommits(campaign, loaded)
        self._told: set[str] = set()
        self._begun = self._counted_from = datetime.now(UTC)
        progress.already_loaded(loaded.values())

    @property
    def missing(self) -> KeysView[str]:
        """The wanted lots that have not been loaded."""
        return self._arrivals.missing

    def look(self) -> None:
        """Tell what is new."""
        for lot in self._arrivals.look():
            self._progress.loaded(self._arrivals.arrived, lot, self._campaign.seconds_taken(lot))
        self._follow_clock(datetime.now(UTC))
        for record in self._campaign.failures(self._begun):
            if record.dagster_run.run_id not in self._told:
                self._told.add(record.dagster_run.run_id)
                self._progress.failed(self._campaign.explain(record.dagster_run), "it will be tried again")

    def _follow_clock(self, now: datetime) -> None:
        """See what fails after the clock was set back, too."""
        self._begun, self._counted_from = min(self._begun, now), min(self._counted_from, now)

    def forgive(self) -> None:
        """Count failures anew: those until now may be of what has just been mended."""
        self._counted_from = datetime.now(UTC)

    def is_hopeless(self) -> bool:
        """Tell whether each missing lot has failed `FAILURES_TO_GIVE_UP` times, and none is under way."""
        failures = self._campaign.own_failures(self._counted_from)
        times = Counter(lote_of(record.dagster_run) for record in failures)
        return all(times[lote] >= FAILURES_TO_GIVE_UP for lote in self.missing) and not (
            self._campaign.in_flight() & self.missing
        )
