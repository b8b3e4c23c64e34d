"""Half an hour of lots as fast as they go, a random fault every 20 s, and what is there in the end."""

import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import psutil
import psycopg

from purchase_pipeline_tests.live_stack import LiveStack
from purchase_pipeline_tests.serving import free_port
from purchase_pipeline_tests.waiting import NotInTimeError, wait_until
from resilience.drills.bench_of_lots import counted, is_idle, wipe
from resilience.drills.content import LOT_ENTRIES
from resilience.drills.led_stack import LedStack, led_stack
from resilience.drills.memory import MemoryLog
from resilience.drills.outcome import Drill, Outcome
from resilience.drills.soak_faults import FAULTS, RandomPolicies

FAULT_SECONDS = 20.0
_LOTS, _ROWS, _MISSING = 100, 10_000, 4
_LAST_HEALING_SECONDS = 1200.0
_DEFECTS = 0.01
_MISSING_LOTS = f"SELECT %s - count(*) / 2 FROM {LOT_ENTRIES}"  # noqa: S608
_SOME_LOADED = "SELECT partition FROM slice_ledger WHERE asset = 'tabela_compras' ORDER BY random() LIMIT 1"
_NEWEST = f"SELECT max(committed_at) FROM {LOT_ENTRIES}"  # noqa: S608


@dataclass
class _Traffic:
    """Keeps lots missing until it is to settle, and notes when one is committed until it is to end."""

    stack: LiveStack
    memory: MemoryLog
    commits: list[float] = field(default_factory=list)
    settling: Event = field(default_factory=Event)
    ended: Event = field(default_factory=Event)

    def run(self) -> None:
        """Go on until `ended` is set."""
        newest = None
        while not self.ended.wait(0.5):
            self.memory.sample()
            found = self.stack.ask(_NEWEST)
            if found and found[0][0] != newest:
                newest = found[0][0]
                self.commits.append(monotonic())
            if not self.settling.is_set():
                self._wipe_some()

    def _wipe_some(self) -> None:
        missing = self.stack.ask(_MISSING_LOTS, _LOTS)
        if missing and missing[0][0] < _MISSING:
            for (lote,) in self.stack.ask(_SOME_LOADED):
                (self.stack.home / "landing" / f"{lote}.json").unlink(
                    missing_ok=True
                )  # so that the API is asked
                with suppress(psycopg.OperationalError):
                    wipe(self.stack, lote)


def soak(times: int, folder: Path) -> Outcome:
    """Strike so many times, then let the dust settle and count."""
    words = ("--lots", str(_LOTS), "--rows", str(_ROWS), "--every", "1")
    struck: list[float] = []
    ends = 0
    policies = RandomPolicies()
    with (
        _mock_api() as api_url,
        led_stack(folder, *words, api_url=api_url, on_api=policies.next, on_database=policies.next) as led,
    ):
        stack, memory = led.stack, MemoryLog(led.stack, int(api_url.rpartition(":")[2]))
        wait_until(lambda: stack.ask("SELECT FROM slice_ledger LIMIT 1"), "the first lot", 120)
        traffic = _Traffic(stack, memory)
        thread = Thread(target=traffic.run, name="traffic", daemon=True)
        thread.start()
        for number in range(times):
            ends += _revive_up(stack)
            struck.append(monotonic())
            _strike(led, policies, number, times)
            sleep(max(0.0, struck[-1] + FAULT_SECONDS - monotonic()))
        traffic.settling.set()
        whole = _settles(stack)
        traffic.ended.set()
        thread.join()
        lost, doubled = counted(stack, _LOTS, _ROWS)
    commits = [*traffic.commits, monotonic()]
    seconds = [next(moment for moment in commits if moment > at) - at for at in struck]
    note = f"{len(traffic.commits)} loads; seconds to the next batch; up gave up {ends} times; {memory.summary()}"
    return Outcome(
        times=times, lost=lost, doubled=doubled, healed=times if whole else 0, seconds=seconds, note=note
    )


def _strike(led: LedStack, policies: RandomPolicies, number: int, times: int) -> None:
    """Strike at random; a fault that finds nothing to strike leaves the turn to another."""
    name, fault = random.choice(list(FAULTS.items()))  # noqa: S311
    while not fault(led, policies):
        name, fault = random.choice(list(FAULTS.items()))  # noqa: S311
    print(f"  {number + 1}/{times} {name}", flush=True)


def _revive_up(stack: LiveStack) -> int:
    """Start `up` again if it has ended by itself, and return how many times that was."""
    if stack.up.poll() is None:
        return 0
    print(f"  up ended with exit code {stack.up.returncode}: {stack.log.read_text()[-1000:]}", flush=True)
    stack.start()
    return 1


def _settles(stack: LiveStack) -> bool:
    """Wait until every lot is loaded, and tell whether that came."""
    try:
        wait_until(
            lambda: is_idle(stack) and stack.ask(_MISSING_LOTS, _LOTS) == [(0,)],
            "all lots",
            _LAST_HEALING_SECONDS,
        )
    except NotInTimeError as error:
        print(
            f"  {error}: {stack.ask(_MISSING_LOTS, _LOTS)} missing; {stack.log.read_text()[-2000:]}",
            flush=True,
        )
        return False
    return True


@contextmanager
def _mock_api() -> Iterator[str]:
    """Serve the mock API by a process of its own, as `up` does."""
    port = free_port()
    command: Sequence[str] = [
        *(sys.executable, "-m", "uvicorn", "--factory", "mock_api.app:create_app", "--no-access-log"),
        *("--log-level", "error", "--port", str(port)),
    ]
    with subprocess.Popen(command, env={"MOCK_API_DEFECTS": str(_DEFECTS)}) as process:
        try:
            wait_until(lambda: _listens(process.pid, port), "the mock API", 60)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _listens(pid: int, port: int) -> bool:
    return any(
        one.laddr.port == port and one.status == psutil.CONN_LISTEN
        for one in psutil.Process(pid).net_connections("tcp4")
    )


DRILLS = (
    Drill(
        "soak",
        "Half an hour of loading without pauses, a random fault of these kinds every 20 s",
        full=90,
        short=0,
        run=soak,
    ),
)
