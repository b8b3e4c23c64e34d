"""The same lots without the wait: one process, one after the other, through the same Dagster job."""

from datetime import UTC, datetime
from functools import partial
from time import monotonic

import dagster as dg
from rich.console import Console

from purchase_pipeline.campaign import Campaign
from purchase_pipeline.dagster_home import open_instance
from purchase_pipeline.database import database_url
from purchase_pipeline.database_watch import DatabaseWatch
from purchase_pipeline.local_stack import StackOptions, database, end_orphaned_runs, make_room, mock_api
from purchase_pipeline.lot_ledger import LotLedger
from purchase_pipeline.lot_runs import lot_runs
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.processes import Processes
from purchase_pipeline.progress import LiveProgress, print_summary
from purchase_pipeline.settings import Settings


def run_ingest(settings: Settings, options: StackOptions, console: Console) -> bool:
    """Load every missing lot once, and return whether all are loaded in the end."""
    clock = monotonic()
    make_room(settings, options, console)
    processes = Processes(settings.home)
    with database(settings), mock_api(settings, options, processes) as served:
        served.write_campaign()
        with open_instance(served) as instance:
            database_watch = DatabaseWatch(served, console.print)
            campaign = Campaign(settings.lote_names, LotLedger(engine_for(database_url(served))), instance)
            database_watch.wait_for(partial(end_orphaned_runs, served, instance))
            _load_missing(campaign, instance, database_watch, console)
            database_watch.wait_for(partial(end_orphaned_runs, served, instance))
        loaded = database_watch.wait_for(campaign.loaded)
        print_summary(console, settings.lots, loaded.values(), monotonic() - clock)
    return len(loaded) == settings.lots


def _load_missing(
    campaign: Campaign, instance: dg.DagsterInstance, database_watch: DatabaseWatch, console: Console
) -> None:
    known = database_watch.wait_for(campaign.loaded)
    done = len(known)
    with LiveProgress(console, len(campaign.lots)) as progress, lot_runs(instance) as run:
        progress.already_loaded(known.values())
        for lote in (lote for lote in campaign.lots if lote not in known):
            begun, clock = datetime.now(UTC), monotonic()
            if database_watch.wait_for(partial(run, lote)):
                done += 1
                loaded = database_watch.wait_for(campaign.loaded)
                progress.loaded(done, loaded[lote], monotonic() - clock)
            for record in database_watch.wait_for(partial(campaign.failures, begun)):
                progress.failed(
                    campaign.explain(record.dagster_run), "another `ingest` or `up` tries it again"
                )
