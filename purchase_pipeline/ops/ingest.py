"""The same lots without the wait: one process, one after the other, through the same Dagster job."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from time import monotonic

from rich.console import Console

from purchase_pipeline.feeds.backlog import NewCommits
from purchase_pipeline.ops.console import LiveProgress, print_line, print_summary
from purchase_pipeline.ops.pipeline import Pipeline
from purchase_pipeline.ops.runs import consecutive, lot_runs
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.dagster_instance import open_instance
from purchase_pipeline.stack.database import database_in_use
from purchase_pipeline.stack.failover import DATABASE_AWAY, DatabaseWatch
from purchase_pipeline.stack.processes import Processes
from purchase_pipeline.stack.services import (
    StackOptions,
    end_orphaned_runs,
    make_room,
    mock_api,
    wait_for_mock_api,
)

_ROWS_A_RUN = 250_000
"""Rows loaded in one run of Dagster's, which costs as much beside its data as some 20,000 rows: so seldom enough."""

_LOOK_SECONDS = 0.5


def run_ingest(settings: Settings, options: StackOptions, console: Console) -> bool:
    """Load every missing lot once, and return whether all are loaded in the end."""
    clock = monotonic()
    make_room(settings, options, console)
    processes = Processes(settings.home)
    with mock_api(settings, options, processes) as served, database_in_use(settings):
        served.write_campaign()
        with open_instance(served) as instance:
            pipeline = Pipeline(served, instance)
            database_watch = DatabaseWatch(served, partial(print_line, console))
            database_watch.wait_for(partial(end_orphaned_runs, served, instance))
            wait_for_mock_api(settings, served, processes)
            _load_missing(pipeline, database_watch, console)
            database_watch.wait_for(partial(end_orphaned_runs, served, instance))
        loaded = database_watch.wait_for(pipeline.backlog.loaded)
        print_summary(console, settings.lots, loaded.values(), monotonic() - clock)
    return len(loaded) == settings.lots


def _load_missing(pipeline: Pipeline, database_watch: DatabaseWatch, console: Console) -> None:
    campaign, rows = pipeline.backlog, pipeline.settings.rows
    known = database_watch.wait_for(campaign.loaded)
    with LiveProgress(console, len(campaign.lots)) as progress, lot_runs(pipeline) as start_run:
        progress.already_loaded(known.values())
        arrivals = NewCommits(campaign, known)
        shown = _ShownArrivals(arrivals, progress)

        def run(lots: Sequence[str]) -> None:
            """Run the job for some lots, and show each as it arrives, and why the run of one alone failed."""
            begun = datetime.now(UTC)
            database_watch.wait_for(partial(_watched, partial(start_run, lots), shown.show))
            database_watch.wait_for(shown.show)
            for record in database_watch.wait_for(partial(campaign.failures, begun)):
                progress.failed(
                    campaign.explain(record.dagster_run), "another `ingest` or `up` tries it again"
                )

        for lots in consecutive(list(arrivals.missing), campaign.lots, max(1, _ROWS_A_RUN // rows)):
            run(lots)
            # A lot that fails ends its run. Those that it left are tried alone: each loads, or says why not.
            for lote in lots if len(lots) > 1 else ():
                if lote in arrivals.missing:
                    run([lote])


class _ShownArrivals:
    """Shows lots as they arrive, each with the seconds since the one before."""

    def __init__(self, arrivals: NewCommits, progress: LiveProgress) -> None:
        self._arrivals = arrivals
        self._progress = progress
        self._last = datetime.now(UTC)

    def show(self) -> int:
        """Show those that have arrived since the last time, and return how many are there."""
        for lot in self._arrivals.look():
            self._progress.loaded(
                self._arrivals.arrived, lot, (lot.committed_at - self._last).total_seconds()
            )
            self._last = lot.committed_at
        return self._arrivals.arrived


def _watched(start: Callable[[], Future[bool]], look: Callable[[], int]) -> bool:
    """Start a run, look around until it ends, and return whether all went well."""
    run = start()
    while wait([run], timeout=_LOOK_SECONDS).not_done:
        with suppress(*DATABASE_AWAY):  # whose end is waited for once the run has ended
            look()
    return run.result()
