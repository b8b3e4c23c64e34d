"""A loaded stack, of which a lot is wiped so that it is loaded again while something is struck; and the final count."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import TypeAlias

from purchase_pipeline_tests.live_stack import LiveStack, live_stack
from purchase_pipeline_tests.waiting import NotInTimeError, wait_until
from resilience.drills.content import LOT_ENTRIES, lost_and_doubled
from resilience.drills.outcome import Outcome

Strike: TypeAlias = Callable[[LiveStack, int], float]
"""Waits for its moment in the loading of a lot, strikes, and returns when (monotonic). Receives the strike's number.

Raises:
    NotInTimeError: the moment did not come.
"""

_WIPE = """
    WITH accepted AS (DELETE FROM tabela_compras WHERE lote = %(lote)s),
    rejected AS (DELETE FROM compras_rejeitadas WHERE lote = %(lote)s)
    DELETE FROM slice_ledger WHERE partition = %(lote)s
"""
_WHOLE = f"SELECT FROM {LOT_ENTRIES} WHERE partition = %s HAVING count(*) = 2 AND count(DISTINCT digest) = 1"
_LOADED = f"SELECT FROM {LOT_ENTRIES} HAVING count(*) = %s"
_UNDER_WAY = "SELECT FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"
# The sales follow the lots in runs of their own.
_LOADS = "SELECT create_timestamp FROM runs WHERE pipeline_name = 'ingest_lote'"
_SUCCEEDED = f"{_LOADS} AND status = 'SUCCESS'"
_RETRY = f"{_LOADS} AND partition = %s AND create_timestamp > %s ORDER BY 1 LIMIT 1"
# `up` gives up when its services end more than five times within a minute.
_BETWEEN_STRIKES_SECONDS = 13.0


def strike_lots(times: int, folder: Path, *, strike: Strike, rows: int, heal_seconds: float) -> Outcome:
    """Wipe one lot after the other, strike while it is loaded again, and wait until it is whole.

    A lot that two runs loaded counts as doubled, whatever the tables hold.
    """
    lots, note = max(2, times), ""  # each lot once: the more often a lot fails, the longer it rests
    seconds: list[float] = []
    retries: list[float] = []
    struck = 0
    with live_stack(folder, *load_options(lots, rows)) as stack:
        wait_until(lambda: stack.ask(_LOADED, 2 * lots), "the first load", 120 + 15 * lots)
        for number in range(times):
            lote = f"lote-{number % lots + 1:04d}"
            wait_until(lambda: is_idle(stack), "a quiet stack", 300)
            wipe(stack, lote)
            try:
                struck_at = strike(stack, number)
            except NotInTimeError as error:
                print(f"  {number + 1}/{times} {lote}: did not strike: {error}", flush=True)
                continue
            struck += 1
            struck_on = datetime.now(UTC).replace(tzinfo=None)
            if (healed := _seconds_to_whole(stack, lote, struck_at, heal_seconds)) is not None:
                seconds.append(healed)
            retries += _seconds_to_retry(stack, lote, struck_on)
            print(
                f"  {number + 1}/{times} {lote}: {'NOT HEALED' if healed is None else f'{healed:.1f} s'}",
                flush=True,
            )
            sleep(max(0.0, struck_at + _BETWEEN_STRIKES_SECONDS - monotonic()))
        wait_until(lambda: is_idle(stack), "a quiet stack", 300)
        lost, doubled = counted(stack, lots, rows)
        doubled += max(0, len(stack.ask(_SUCCEEDED, database="dagster")) - lots - times)
    if retries:
        note = f"{len(retries)} retried, at the latest {max(retries):.1f} s after"
    return Outcome(times=struck, lost=lost, doubled=doubled, healed=len(seconds), seconds=seconds, note=note)


def load_options(lots: int, rows: int, defects: float = 0.01) -> tuple[str, ...]:
    """Return the options of `up` for so many lots, one a second."""
    return "--lots", str(lots), "--rows", str(rows), "--every", "1", "--defects", str(defects)


def wipe(stack: LiveStack, lote: str) -> None:
    """Delete a lot and its ledger entry."""
    with stack.connection() as connection:
        connection.execute(_WIPE.encode(), {"lote": lote})


def is_whole(stack: LiveStack, lote: str) -> bool:
    """Return whether the ledger has both slices of a lot, of the same raw rows."""
    return bool(stack.ask(_WHOLE, lote))


def is_idle(stack: LiveStack) -> bool:
    """Return whether everything is there, and no run is under way."""
    there = stack.daemons() and stack.code_servers() and stack.postmaster()
    if not there or stack.ask("SELECT 1", database="dagster") != [(1,)]:
        return False
    return not stack.ask(_UNDER_WAY, database="dagster")


def counted(stack: LiveStack, lots: int, rows: int) -> tuple[int, int]:
    """Return the rows lost and doubled, counted by SQL; a difference that `verify` finds counts as a loss."""
    lost, doubled = lost_and_doubled(stack.ask, lots, rows)
    verified = stack.command("verify")
    if verified.returncode:
        print(f"  verify: {verified.stdout}{verified.stderr}", flush=True)
    return lost + bool(verified.returncode), doubled


def _seconds_to_retry(stack: LiveStack, lote: str, struck_on: datetime) -> list[float]:
    """Return after how many seconds the lot's next run was asked for, if it was."""
    return [
        (moment - struck_on).total_seconds()
        for (moment,) in stack.ask(_RETRY, lote, struck_on, database="dagster")
    ]


def _seconds_to_whole(stack: LiveStack, lote: str, struck_at: float, heal_seconds: float) -> float | None:
    """Wait for a lot; should `up` have ended meanwhile, that is no healing, and it is started again for the others."""
    try:
        wait_until(lambda: is_whole(stack, lote), lote, heal_seconds)
    except NotInTimeError:
        if stack.up.poll() is not None:
            print(
                f"  up ended with exit code {stack.up.returncode}: {stack.log.read_text()[-1500:]}",
                flush=True,
            )
            stack.start()
            wait_until(lambda: is_idle(stack), "a restarted stack", 120)
        return None
    return monotonic() - struck_at
