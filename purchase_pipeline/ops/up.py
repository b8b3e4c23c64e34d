"""The main job: start what is not given, watch the sensor load every lot, stop what was started."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from time import monotonic, sleep

import httpx
from rich.console import Console
from rich.markup import escape

from purchase_pipeline.ops.console import (
    FAILURES_TO_GIVE_UP,
    BacklogWatch,
    LiveProgress,
    print_line,
    print_summary,
)
from purchase_pipeline.ops.pipeline import Pipeline
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.clock import ClockWatch, forget_future_ticks
from purchase_pipeline.stack.daemon_lock import DaemonLock, only_daemon
from purchase_pipeline.stack.database import (
    dagster_storage_url,
    database_in_use,
    shown_database_url,
)
from purchase_pipeline.stack.failover import Failover
from purchase_pipeline.stack.ports import http_url, is_loopback
from purchase_pipeline.stack.processes import Processes
from purchase_pipeline.stack.services import (
    StackOptions,
    clear_leftovers,
    dagster_services,
    mock_api,
    wait_for_mock_api,
)

_EXPOSED = (
    "[bold red]Warning:[/] --host {host} opens Dagster's UI and the mock API beyond this machine. They ask for no "
    "login: whoever reaches {host} can run code here as you, and read and change the data. "
    "Do this only behind a firewall, or a proxy that asks who is there."
)
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Stack:
    """A stack that runs."""

    processes: Processes
    pipeline: Pipeline
    database: Failover
    daemon_lock: DaemonLock
    clock: ClockWatch


def run_up(settings: Settings, options: StackOptions, console: Console, *, exit_when_done: bool) -> bool:
    """Load every wanted lot through the sensor, and return whether all are loaded.

    Lots that fail come back until they have failed `FAILURES_TO_GIVE_UP` times; without `exit_when_done` the stack then
    stays up, and goes on trying, until it is interrupted.
    """
    clock = monotonic()
    with running_stack(settings, options, console) as stack:
        complete = _watch(stack, console)
        loaded = stack.database.wait_for(stack.pipeline.backlog.loaded)
        print_summary(console, settings.lots, loaded.values(), monotonic() - clock)
        if not exit_when_done:
            console.print("Everything stays up. Ctrl-C stops it; the data stays.")
            _until_interrupted(stack, console)
    return complete


@contextmanager
def running_stack(settings: Settings, options: StackOptions, console: Console) -> Iterator[Stack]:
    """Start everything, say where it is, and stop it all at the end, whatever the end is."""
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
        stack.callback(console.print, "Stopping what was started ...")
        _print_addresses(settings, options, console)
        watch = Failover(settings, partial(print_line, console))
        yield Stack(processes, Pipeline(settings, instance), watch, daemon_lock, clock)


def _print_addresses(settings: Settings, options: StackOptions, console: Console) -> None:
    lines = {
        "Dagster UI": http_url(options.host, options.port) if options.ui else "off (--no-ui)",
        "Purchase API": str(httpx.URL(settings.api_url).copy_with(userinfo=b"")),
        "PostgreSQL": shown_database_url(settings),
        "Wanted": f"{settings.lots} lots of {settings.rows:,} rows, one every {settings.every:g} s",
    }
    for name, value in lines.items():
        console.print(f"[bold]{name:<13}[/]{escape(value)}", highlight=False, soft_wrap=True)
    if not is_loopback(options.host):
        console.print(_EXPOSED.format(host=options.host), highlight=False, soft_wrap=True)


def _watch(stack: Stack, console: Console) -> bool:
    """Show lots as they are committed; end when all are, or when each that is not has failed too often."""
    backlog = stack.pipeline.backlog
    with LiveProgress(console, len(backlog.lots)) as progress:
        watch = BacklogWatch(
            backlog,
            progress,
            stack.database.wait_for(backlog.loaded),
            seconds_taken=backlog.seconds_taken,
            outlook="it will be tried again",
        )
        while watch.missing:
            returns = stack.database.returns
            hopeless = stack.database.attempt(lambda: _look(stack, watch, progress.say))
            if stack.database.returns > returns:
                watch.reset_failures()
            elif hopeless:
                progress.say(f"Giving up on {', '.join(watch.missing)}: failed {FAILURES_TO_GIVE_UP} times.")
                return False
            sleep(_LOOK_SECONDS)
    return True


def _look(stack: Stack, watch: BacklogWatch, say: Callable[[str], None]) -> bool:
    """Tell what is new, keep up what is to run (the database answers: it can), and say whether to give up."""
    watch.look()
    _keep_up(stack, say)
    return bool(watch.missing) and watch.has_given_up()


def _until_interrupted(stack: Stack, console: Console) -> None:
    while True:
        stack.database.attempt(lambda: _keep_up(stack, partial(print_line, console)))
        sleep(_LOOK_SECONDS)


def _keep_up(stack: Stack, say: Callable[[str], None]) -> bool:
    """Make sure that the daemon is the only one, revive what has ended, and return true: the database answers."""
    stack.daemon_lock.hold()
    stack.daemon_lock.watch(stack.pipeline.instance)
    _follow_clock(stack, say)
    for name in stack.processes.revive():
        say(f"{name} had ended, and was started again; its log: {stack.processes.log_of(name)}")
    return stack.pipeline.ledger.ping()


def _follow_clock(stack: Stack, say: Callable[[str], None]) -> None:
    """Start the daemon again when the clock was set back: it would wait until the time is what it was."""
    if not (back := stack.clock.seconds_back()):
        return
    with stack.processes.paused("daemon"):
        forget_future_ticks(stack.pipeline.instance)
    stack.clock.accept()
    say(
        f"The clock was set back by {back:,.0f} s; Dagster's daemon, which would wait for that long, was restarted."
    )
