"""The main job: start what is not given, watch the sensor load every lot, stop what was started."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic, sleep

import dagster as dg
import httpx
from rich.console import Console

from purchase_pipeline.campaign import Campaign, lote_of
from purchase_pipeline.database import database_url, shown_database_url
from purchase_pipeline.local_stack import (
    StackOptions,
    dagster_services,
    database,
    make_room,
    mock_api,
)
from purchase_pipeline.lot_ledger import LotLedger
from purchase_pipeline.ports import LOOPBACK
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.processes import Processes
from purchase_pipeline.progress import LiveProgress, print_summary
from purchase_pipeline.settings import Settings

_LOOK_SECONDS = 0.5
_FAILURES_TO_GIVE_UP = 3


@dataclass(frozen=True)
class Stack:
    """A stack that runs."""

    processes: Processes
    instance: dg.DagsterInstance
    ledger: LotLedger


def run_up(settings: Settings, options: StackOptions, console: Console, *, exit_when_done: bool) -> bool:
    """Load every wanted lot through the sensor, and return whether all are loaded.

    Lots that fail come back until they have failed three times; without `exit_when_done` the stack then stays up, and
    goes on trying, until it is interrupted.
    """
    started_at, clock = datetime.now(UTC), monotonic()
    with running_stack(settings, options, console) as stack:
        campaign = Campaign(settings.lote_names, stack.ledger, stack.instance)
        complete = _watch(stack, campaign, console, started_at)
        print_summary(console, settings.lots, campaign.loaded().values(), monotonic() - clock)
        if not exit_when_done:
            console.print("Everything stays up. Ctrl-C stops it; the data stays.")
            _until_interrupted(stack, console)
    return complete


@contextmanager
def running_stack(settings: Settings, options: StackOptions, console: Console) -> Iterator[Stack]:
    """Start everything, say where it is, and stop it all at the end, whatever the end is."""
    make_room(settings, options, console)
    processes = Processes(settings.home)
    with ExitStack() as stack:
        stack.callback(processes.stop_all)
        with console.status("Starting PostgreSQL, the API and Dagster ..."):
            stack.enter_context(database(settings))
            settings = stack.enter_context(mock_api(settings, options, processes))
            settings.write_campaign()
            instance = stack.enter_context(dagster_services(settings, options, processes))
        stack.callback(console.print, "Stopping what was started ...")
        _print_addresses(settings, options, console)
        yield Stack(processes, instance, LotLedger(engine_for(database_url(settings))))


def _print_addresses(settings: Settings, options: StackOptions, console: Console) -> None:
    lines = {
        "Dagster UI": f"http://{LOOPBACK}:{options.port}" if options.ui else "off (--no-ui)",
        "Purchase API": str(httpx.URL(settings.api_url).copy_with(userinfo=b"")),
        "PostgreSQL": shown_database_url(settings),
        "Wanted": f"{settings.lots} lots of {settings.rows:,} rows, one every {settings.every:g} s",
    }
    for name, value in lines.items():
        console.print(f"[bold]{name:<13}[/]{value}", highlight=False, soft_wrap=True)


def _watch(stack: Stack, campaign: Campaign, console: Console, since: datetime) -> bool:
    """Show lots as they are committed; end when all are, or when each that is not has failed three times."""
    shown = campaign.loaded()
    told: set[str] = set()
    with LiveProgress(console, len(campaign.lots)) as progress:
        progress.already_loaded(shown.values())
        while len(shown) < len(campaign.lots):
            _keep_up(stack, progress.say)
            loaded = campaign.loaded()
            for lot in sorted(loaded.values(), key=lambda lot: lot.committed_at):
                if lot.lote not in shown:
                    shown[lot.lote] = lot
                    progress.loaded(len(shown), lot, campaign.seconds_taken(lot))
            failures = [record.dagster_run for record in campaign.failures(since)]
            for run in failures:
                if run.run_id not in told:
                    told.add(run.run_id)
                    progress.failed(campaign.explain(run), "it will be tried again")
            missing = [lote for lote in campaign.lots if lote not in shown]
            times = Counter(map(lote_of, failures))
            if missing and all(times[lote] >= _FAILURES_TO_GIVE_UP for lote in missing):
                progress.say(f"Giving up on {', '.join(missing)}: failed {_FAILURES_TO_GIVE_UP} times.")
                return False
            sleep(_LOOK_SECONDS)
    return True


def _until_interrupted(stack: Stack, console: Console) -> None:
    while True:
        _keep_up(stack, console.print)
        sleep(_LOOK_SECONDS)


def _keep_up(stack: Stack, say: Callable[[str], None]) -> None:
    for name in stack.processes.revive():
        say(f"{name} had ended, and was started again; its log: {stack.processes.log_of(name)}")
