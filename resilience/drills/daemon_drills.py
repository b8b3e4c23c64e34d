"""Drills about who runs Dagster's daemon, and for how long: a second `up`, a closed terminal, a clock set back."""

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME
from purchase_pipeline_tests.live_stack import LiveStack, dismantle, live_stack
from purchase_pipeline_tests.waiting import NotInTimeError, kill, wait_until
from resilience.drills.bench_of_lots import counted, is_whole, load_options, wipe
from resilience.drills.content import LOT_ENTRIES
from resilience.drills.led_stack import make_databases
from resilience.drills.outcome import Drill, Outcome
from resilience.drills.settable_clock import SettableClock

_ROWS = 2_000
_PATIENCE_SECONDS = 300.0
_A_DAY = 86_400
_JUDGED = "SELECT FROM event_logs WHERE dagster_event_type = 'PIPELINE_FAILURE' AND event LIKE '%%run worker status%%'"

_WHOLE = f"""
    SELECT partition FROM {LOT_ENTRIES}
    GROUP BY partition HAVING count(*) = 2 AND count(DISTINCT digest) = 1
"""  # noqa: S608
_LOADING = "SELECT FROM runs WHERE pipeline_name = 'ingest_lote' AND status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"


@contextmanager
def _two_homes(folder: Path, lots: int) -> Iterator[list[LiveStack]]:
    """Have two homes that load into one database of a server that is neither's; what they leave is removed."""
    homes = [
        LiveStack(folder / name / "home", *load_options(lots, _ROWS), server_home=folder / "server")
        for name in ("first", "other")
    ]
    server = homes[0].server
    server.start()
    try:
        make_databases(homes[0])
        for stack in homes:
            stack.home.parent.mkdir()
            stack.environment |= {
                "DATABASE_URL": server.url(DATABASE_NAME),
                "DAGSTER_POSTGRES_URL": server.url(DAGSTER_DATABASE_NAME),
                "PURCHASE_LANDING": str(folder / "landing"),  # as `verify` reads what both have landed
            }
        yield homes
        for stack in homes:
            dismantle(stack)
    finally:
        for stack in homes:
            kill(stack.running())
        server.remove()


def two_ups(times: int, folder: Path) -> Outcome:
    """Start a second `up` from another home while the first loads a lot again; every other time the first is killed.

    The second is to end, naming the first; or, where that is dead, to load the lot. A run that either's monitoring
    failed for its worker, where nothing was killed, counts as lost.
    """
    lots, seconds, validated = max(2, times), list[float](), 0
    with _two_homes(folder, lots) as homes:
        holder, other = homes
        holder.start()
        wait_until(lambda: _loaded(holder) == lots, "the first load", 300 + 60 * lots)
        for number in range(times):
            lote, takes_over = f"lote-{number % lots + 1:04d}", number % 2
            before = len(holder.ask(_JUDGED, database=DAGSTER_DATABASE_NAME))
            wipe(holder, lote)
            if takes_over:
                kill(holder.running())
            struck_at = monotonic()
            other.start()
            if takes_over:
                holder.up.wait()
                holder, other = other, holder
            else:
                other.up.wait(_PATIENCE_SECONDS)
                _require_refusal(other, holder)
                validated += len(holder.ask(_JUDGED, database=DAGSTER_DATABASE_NAME)) - before
            wait_until(lambda: is_whole(holder, lote), lote, _PATIENCE_SECONDS)  # noqa: B023
            seconds.append(monotonic() - struck_at)
            said = "the first was killed" if takes_over else "the second was refused"
            print(f"  {number + 1}/{times} {said}: {lote} whole after {seconds[-1]:.1f} s", flush=True)
        wait_until(lambda: _is_quiet(holder), "a quiet stack", _PATIENCE_SECONDS)
        lost, doubled = counted(holder, lots, _ROWS)
    return Outcome(
        times=times,
        lost=lost + validated,
        doubled=doubled,
        healed=len(seconds),
        seconds=seconds,
        note="two home folders, alternating",
    )


def _require_refusal(refused: LiveStack, holder: LiveStack) -> None:
    said = refused.log.read_text()[-2000:]
    if refused.up.returncode != 1 or f"process {holder.up.pid} on" not in " ".join(said.split()):
        raise NotInTimeError(f"The second up ended with {refused.up.returncode}: {said}")
    refused.log.write_text("")


def _loaded(stack: LiveStack) -> int:
    """Return how many lots the ledger has whole; 0 while the server is away. What the sales note there is another's."""
    return len(stack.ask(_WHOLE))


def _is_quiet(stack: LiveStack) -> bool:
    """Return whether no lot is being loaded. The sales follow the lots in runs of their own, which are none of ours."""
    return not stack.ask(_LOADING, database=DAGSTER_DATABASE_NAME)


def terminal_closed(times: int, folder: Path) -> Outcome:
    """Close the terminal that `up` runs in, within its start or, every other time, while it loads; start it in another.

    A time is healed when `up` has ended with 129 and nothing of it is left, its PostgreSQL included. One that was
    struck before it could hear (it imports, and has started nothing) is ended by the signal itself.
    """
    lots, seconds = 2 * times, list[float]()
    stack = LiveStack(folder / "home", *load_options(lots, _ROWS), "--exit-when-done")
    try:
        for number in range(times):
            terminal, before = stack.start_in_terminal(), _loaded(stack)
            if number % 2:
                wait_until(lambda: _loaded(stack) > before, "a lot", _PATIENCE_SECONDS)  # noqa: B023
            sleep(random.uniform(0.5, 10))  # noqa: S311
            at = _loaded(stack)
            terminal.close()
            closed_at = monotonic()
            code = stack.up.wait(_PATIENCE_SECONDS)
            took = monotonic() - closed_at
            left = [*stack.running(), *filter(None, [stack.postmaster()])]
            if code in {128 + signal.SIGHUP, -signal.SIGHUP} and not left:
                seconds.append(took)
            print(
                f"  {number + 1}/{times} at lot {at}: ended with {code} after {took:.1f} s, left {left}",
                flush=True,
            )
        stack.start()
        if code := stack.up.wait(300 + 60 * lots):
            raise NotInTimeError(f"up ended with {code}: {stack.log.read_text()[-2000:]}")
        stack.command("db-url")  # starts the server, which `up` has stopped
        lost, doubled = counted(stack, lots, _ROWS)
    finally:
        dismantle(stack)
    return Outcome(
        times=times,
        lost=lost,
        doubled=doubled,
        healed=len(seconds),
        seconds=seconds,
        note=f"one load of {lots} batches",
    )


def clock_back(times: int, folder: Path) -> Outcome:
    """Set the clock of `up` and of all that it started back, by ten minutes or a day, and wipe a lot.

    Every third time it has been set a day ahead before. The server's clock stays: it is another machine's.
    """
    clock, lots, seconds = SettableClock(folder), max(2, times), list[float]()
    with live_stack(folder, *load_options(lots, _ROWS), environment=clock.environment) as stack:
        wait_until(lambda: _loaded(stack) == lots, "the first load", 300 + 60 * lots)
        for number in range(times):
            lote = f"lote-{number % lots + 1:04d}"
            wait_until(lambda: _is_quiet(stack), "a quiet stack", _PATIENCE_SECONDS)
            if number % 3 == 2:
                clock.move(_A_DAY)
                sleep(15)  # the sensor ticks there
            clock.move(back := -random.choice([600, _A_DAY]))  # noqa: S311
            wipe(stack, lote)
            struck_at = monotonic()
            wait_until(lambda: is_whole(stack, lote), lote, _PATIENCE_SECONDS)  # noqa: B023
            seconds.append(monotonic() - struck_at)
            print(f"  {number + 1}/{times} {back:,} s: {lote} whole after {seconds[-1]:.1f} s", flush=True)
        wait_until(lambda: _is_quiet(stack), "a quiet stack", _PATIENCE_SECONDS)
        lost, doubled = counted(stack, lots, _ROWS)
        said = stack.log.read_text().count("The clock was set back")
    return Outcome(
        times=times,
        lost=lost,
        doubled=doubled,
        healed=len(seconds),
        seconds=seconds,
        note=f"reported {said} times",
    )


DRILLS = (
    Drill(
        "two-ups",
        "A second `up` on the same database from another home, the first alive or killed",
        full=10,
        short=0,
        run=two_ups,
    ),
    Drill(
        "terminal-closed", "The terminal of `up` closed at any moment", full=10, short=0, run=terminal_closed
    ),
    Drill("clock-back", "The clock set back by ten minutes or a day", full=12, short=0, run=clock_back),
)
