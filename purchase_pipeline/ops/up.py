"""`up`: start the local stack, show each batch as the sensor loads it, stop the stack."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic, sleep

import dagster as dg
import httpx
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.feeds.backoff import retry_of
from purchase_pipeline.ingest.printable import quantity
from purchase_pipeline.ops.console import FAILURES_TO_GIVE_UP, BacklogWatch, LiveProgress
from purchase_pipeline.ops.lines import print_text
from purchase_pipeline.ops.pipeline import Declare, Pipeline
from purchase_pipeline.ops.summary import print_next_steps, print_summary
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.clock import ClockWatch, forget_future_ticks
from purchase_pipeline.stack.daemon_lock import DaemonLock, only_daemon
from purchase_pipeline.stack.database import (
    dagster_storage_url,
    database_in_use,
    shown_database_url,
    shown_tcp_url,
)
from purchase_pipeline.stack.failover import Failover
from purchase_pipeline.stack.ports import LOOPBACK, http_url, is_loopback
from purchase_pipeline.stack.processes import Processes
from purchase_pipeline.stack.services import (
    OWN_DEFINITIONS,
    StackOptions,
    clear_leftovers,
    dagster_services,
    mock_api,
    wait_for_mock_api,
)

_EXPOSED = (
    "[bold red]Warning:[/] --host {host} exposes the Dagster UI and the mock API beyond this machine. Neither has a "
    "login: anyone who can reach {host} can run code here as you, and read and change the data. "
    "Use it only behind a firewall or an authenticating proxy."
)
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Stack:
    """A running stack."""

    processes: Processes
    pipeline: Pipeline
    database: Failover
    daemon_lock: DaemonLock
    clock: ClockWatch


def run_up(
    declare: Declare,
    settings: Settings,
    options: StackOptions,
    console: Console,
    *,
    exit_when_done: bool,
) -> bool:
    """Load every batch through the sensor, and return whether all are loaded.

    Gives up when each missing batch has failed `FAILURES_TO_GIVE_UP` times. Without `exit_when_done`, the stack then
    keeps running, loading and retrying until it is interrupted.
    """
    clock, begun = monotonic(), datetime.now(UTC)
    with running_stack(declare, settings, options, console) as stack:
        backlog = stack.pipeline.backlog

        def summarize() -> None:
            loaded = stack.database.wait_for(backlog.loaded)
            if backlog.keys:  # otherwise nothing is loaded before its schedule
                print_summary(console, backlog.keys, loaded.values(), monotonic() - clock)
            ui = http_url(options.host, options.port) if options.ui else ""
            print_next_steps(console, stack.pipeline.feed, loaded.values(), module=options.module, ui=ui)

        loaded = stack.database.wait_for(backlog.loaded)
        # Others were loaded while the services started: they are shown as any other.
        before = {key: batch for key, batch in loaded.items() if batch.committed_at < begun}
        with LiveProgress(console, len(backlog.keys)) as progress:
            watch = BacklogWatch(
                backlog,
                progress,
                before,
                begun=begun,
                taken=backlog.taken,
                outlook=partial(_outlook, backlog),
                is_retried=True,
            )
            complete = _until_loaded(stack, watch, progress.say)
        summarize()
        if not exit_when_done:
            console.print("The stack keeps running. Press Ctrl-C to stop it; the data is kept.")
            _until_interrupted(stack, watch, partial(print_text, console), summarize)
        elif not complete:
            print_text(console, f"Giving up after {FAILURES_TO_GIVE_UP} failures of each.")
    return complete


def _outlook(backlog: Backlog, failed: dg.RunRecord) -> str:
    return retry_of(backlog, failed, datetime.now(UTC))


@contextmanager
def running_stack(
    declare: Declare, settings: Settings, options: StackOptions, console: Console
) -> Iterator[Stack]:
    """Start all services, print their addresses, and stop them at the end."""
    clear_leftovers(settings, options, console)
    processes = Processes(settings.home)
    with ExitStack() as stack:
        stack.callback(processes.stop_all)
        with console.status("Starting PostgreSQL, the API and Dagster ..."):
            clock = ClockWatch()
            given, settings = settings, stack.enter_context(mock_api(settings, options, processes))
            stack.enter_context(database_in_use(settings))
            daemon_lock = stack.enter_context(only_daemon(dagster_storage_url(settings)))
            settings.save()
            instance = stack.enter_context(dagster_services(settings, options, processes))
            wait_for_mock_api(given, settings, processes)
        stack.callback(console.print, "Stopping all services ...")
        pipeline = Pipeline(declare(settings), settings, instance)
        _print_addresses(pipeline, options, console)
        watch = Failover(settings, partial(print_text, console))
        yield Stack(processes, pipeline, watch, daemon_lock, clock)


def _print_addresses(pipeline: Pipeline, options: StackOptions, console: Console) -> None:
    settings, feed = pipeline.settings, pipeline.feed
    own = options.module == OWN_DEFINITIONS
    by_tcp = shown_tcp_url(settings)
    batches = quantity(len(pipeline.backlog.keys), "batch")
    target = (
        f"{batches} of {quantity(settings.rows, 'row') if own else feed.name}, one every {feed.every:g} s"
    )
    if feed.partitions is None:
        target = f"{feed.name}, by its schedule: {feed.schedule or 'none'}"
    lines = {
        "Dagster UI": http_url(options.host, options.port) if options.ui else "off (--no-ui)",
        **({"Purchase API": str(httpx.URL(settings.api_url).copy_with(userinfo=b""))} if own else {}),
        "PostgreSQL": shown_database_url(settings),
        **(
            {"Metrics": f"{http_url(LOOPBACK, settings.metrics_port)}/metrics"}
            if settings.metrics_port
            else {}
        ),
        **({"SQL clients": f"{by_tcp}  (password: purchase-pipeline db-url --tcp)"} if by_tcp else {}),
        "Target": target,
    }
    for name, value in lines.items():
        console.print(f"[bold]{name:<13}[/]{escape(value)}", highlight=False, soft_wrap=True)
    if not is_loopback(options.host):
        print_text(console, Text.from_markup(_EXPOSED.format(host=options.host)))


def _until_loaded(stack: Stack, watch: BacklogWatch, say: Callable[[str], None]) -> bool:
    """Show batches as they are committed, until all are loaded or each missing one has failed too often."""
    while watch.missing:
        returns = stack.database.returns
        hopeless = stack.database.attempt(lambda: _look(stack, watch, say))
        if stack.database.returns > returns:
            watch.reset_failures()
        elif hopeless:
            return False
        sleep(_POLL_SECONDS)
    return True


def _look(stack: Stack, watch: BacklogWatch, say: Callable[[str], None]) -> bool:
    """Show what is new, keep the services running, and return whether to give up."""
    watch.look()
    _maintain(stack, say)
    return bool(watch.missing) and watch.has_given_up()


def _until_interrupted(
    stack: Stack, watch: BacklogWatch, say: Callable[[str], None], summarize: Callable[[], None]
) -> None:
    """Keep the stack running; once what was missing is loaded, summarize again."""
    missing = bool(watch.missing)
    while True:
        stack.database.attempt(lambda: _look(stack, watch, say))
        if missing and not watch.missing:
            missing = False
            summarize()
        sleep(_POLL_SECONDS)


def _maintain(stack: Stack, say: Callable[[str], None]) -> None:
    """Keep the daemon lock, and restart stopped services."""
    stack.daemon_lock.hold()
    stack.daemon_lock.watch(stack.pipeline.instance)
    _follow_clock(stack, say)
    for name in stack.processes.revive():
        say(f"{name} stopped and was restarted. Log: {stack.processes.log_of(name)}")


def _follow_clock(stack: Stack, say: Callable[[str], None]) -> None:
    """Restart the daemon if the clock was set back: it would wait until the old time is reached again."""
    if not (back := stack.clock.seconds_back()):
        return
    with stack.processes.paused("daemon"):
        forget_future_ticks(stack.pipeline.instance)
    stack.clock.accept()
    say(
        f"The clock was set back by {back:,.0f} s; restarted the Dagster daemon, which would have waited that long."
    )
