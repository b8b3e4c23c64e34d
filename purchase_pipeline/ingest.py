"""The same lots without the wait: one process, one after the other, through the same Dagster job."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import monotonic

import dagster as dg
from rich.console import Console

from purchase_pipeline.campaign import Campaign
from purchase_pipeline.dagster_home import open_instance
from purchase_pipeline.database import database_url
from purchase_pipeline.local_stack import StackOptions, database, make_room, mock_api
from purchase_pipeline.lot_ledger import LotLedger
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.processes import Processes
from purchase_pipeline.progress import LiveProgress, print_summary
from purchase_pipeline.settings import Settings

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_ingest(settings: Settings, options: StackOptions, console: Console) -> bool:
    """Load every missing lot once, and return whether all are loaded in the end."""
    clock = monotonic()
    make_room(settings, options, console)
    processes = Processes(settings.home)
    with database(settings), mock_api(settings, options, processes) as served:
        served.write_campaign()
        with open_instance(served) as instance:
            ledger = LotLedger(engine_for(database_url(served)))
            campaign = Campaign(settings.lote_names, ledger, instance)
            _load_missing(campaign, instance, console)
        loaded = campaign.loaded()
        print_summary(console, settings.lots, loaded.values(), monotonic() - clock)
    return len(loaded) == settings.lots


def _load_missing(campaign: Campaign, instance: dg.DagsterInstance, console: Console) -> None:
    # Imported now: the definitions read the environment, which the campaign has just set.
    from purchase_pipeline.definitions import defs  # noqa: PLC0415

    job = defs.resolve_job_def("ingest_lote")
    known = campaign.loaded()
    done = len(known)
    # In a thread of its own, Dagster leaves the signals to us: an interrupt lets the lot under way end, then stops.
    with LiveProgress(console, len(campaign.lots)) as progress, ThreadPoolExecutor(max_workers=1) as worker:
        progress.already_loaded(known.values())
        for lote in (lote for lote in campaign.lots if lote not in known):
            begun, clock = datetime.now(UTC), monotonic()
            execution = worker.submit(
                job.execute_in_process,
                instance=instance,
                partition_key=lote,
                run_config=_QUIET,
                raise_on_error=False,
            )
            if execution.result().success:
                done += 1
                progress.loaded(done, campaign.loaded()[lote], monotonic() - clock)
            for record in campaign.failures(begun):
                progress.failed(
                    campaign.explain(record.dagster_run), "another `ingest` or `up` tries it again"
                )
