"""`up`: start the local stack, show each batch as the sensor loads it, stop the stack."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from time import monotonic, sleep

import httpx
from rich.console import Console
from rich.markup import escape

from purchase_pipeline.ingest.printable import quantity
from purchase_pipeline.ops.console import (
    FAILURES_TO_GIVE_UP,
    BacklogWatch,
    LiveProgress,
    print_line,
    print_summary,
)
from purchase_pipeline.ops.pipeline import Declare, Pipeline
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
from purchase_pipeline.stack.ports import http_url, is_loopback
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
    clock = monotonic()
    with running_stack(declare, settings, options, console) as stack:
        backlog = stack.pipeline.backlog
        with LiveProgress(console, len(backlog.keys)) as progress:
            watch = BacklogWatch(
                backlog,
                progress,
                stack.database.wait_for(backlog.loaded),
                seconds_taken=backlog.seconds_taken,
                outlook="it will be retried",
            )
            complete = _until_loaded(stack, watch, progress.say)
        if backlog.keys:  # otherwise nothing is loaded before its schedule
            loaded = stack.database.wait_for(backlog.loaded)
            print_summary(console, len(backlog.keys), loaded.values(), monotonic() - clock)
        if not exit_when_done:
            console.print("The stack keeps running. Press Ctrl-C to stop it; the data is kept.")
            _until_interrupted(stack, watch, partial(print_line, console))
    return complete


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
        watch = Failover(settings, partial(print_line, console))
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
        **({"SQL clients": f"{by_tcp}  (password: purchase-pipeline db-url --tcp)"} if by_tcp else {}),
        "Target": target,
    }
    for name, value in lines.items():
        console.print(f"[bold]{name:<13}[/]{escape(value)}", highlight=False, soft_wrap=True)
    if not is_loopback(options.host):
        console.print(_EXPOSED.format(host=options.host), highlight=False, soft_wrap=True)


def _until_loaded(stack: Stack, watch: BacklogWatch, say: Callable[[str], None]) -> bool:
    """Show batches as they are committed, until all are loaded or each missing one has failed too often."""
    while watch.missing:
        returns = stack.database.returns
        hopeless = stack.database.attempt(lambda: _look(stack, watch, say))
        if stack.database.returns > returns:
            watch.reset_failures()
        elif hopeless:
            say(f"Giving up on {', '.join(watch.missing)} after {FAILURES_TO_GIVE_UP} failures.")
            return False
        sleep(_POLL_SECONDS)
    return True


def _look(stack: Stack, watch: BacklogWatch, say: Callable[[str], None]) -> bool:
    """Show what is new, keep the services running, and return whether to give up."""
    watch.look()
    _maintain(stack, say)
    return bool(watch.missing) and watch.has_given_up()


def _until_interrupted(stack: Stack, watch: BacklogWatch, say: Callable[[str], None]) -> None:
    while True:
        stack.database.attempt(lambda: _look(stack, watch, say))
        sleep(_POLL_SECONDS)


def _maintain(stack: Stack, say: Callable[[str], None]) -> bool:
    """Keep the daemon lock, restart stopped services, and return whether the database responds."""
    stack.daemon_lock.hold()
    stack.daemon_lock.watch(stack.pipeline.instance)
    _follow_clock(stack, say)
    for name in stack.processes.revive():
        say(f"{name} stopped and was restarted. Log: {stack.processes.log_of(name)}")
    return stack.pipeline.ledger.ping()


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
