"""The run worker killed at every place of a lot: what was there before stays whole, or what comes is whole."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import NamedTuple

from purchase_pipeline_tests.live_stack import LiveStack
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.waiting import NotInTimeError, wait_until
from resilience.drills.content import Version, entries_of
from resilience.drills.faulty_api import FaultyApi
from resilience.drills.launching import Launcher, launcher_of
from resilience.drills.led_stack import led_stack
from resilience.drills.lot_points import POINTS, Point
from resilience.drills.outcome import Outcome
from resilience.drills.subjects import PURCHASES, Subject
from resilience.drills.traps import Trap, Traps

_FIRST_TRIES = ("50% of the COPY", "COMMIT done, its answer withheld", "99% of the API's answer")
_STRIKE_SECONDS, _HEAL_SECONDS = 120.0, 180.0


class Try(NamedTuple):
    """What came of one kill, if it struck."""

    struck: bool
    lost: bool
    healed: bool
    seconds: float


@dataclass(frozen=True)
class _Scene:
    subject: Subject
    api: FaultyApi
    api_url: str
    traps: Traps
    stack: LiveStack
    launcher: Launcher
    held: dict[str, Version] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)

    def next_version(self, lote: str) -> tuple[Version, Version]:
        """Have the API send other rows from now on; return what the database holds, and what it is to hold."""
        old = self.held.setdefault(lote, self.subject.fetch_version(self.api_url, lote))
        self.numbers[lote] += 1
        self.api.versions[lote] = self.subject.version(lote, self.numbers[lote])
        return old, self.subject.fetch_version(self.api_url, lote)

    def holds(self, lote: str, *versions: Version) -> bool:
        with self.stack.connection() as connection:
            return any(version.is_held(connection, lote) for version in versions)

    def attempt(self, lote: str, point: Point) -> Try:
        """Fetch a lot again with other content, kill its worker, and compare what is there: then, and at the end."""
        (old, new), trap = self.next_version(lote), Trap(lote, point)
        self.traps.set(trap)
        run_id = self.launcher.fetch_again(lote, self.subject.job, self.subject.raw_asset)
        if not trap.wait(_STRIKE_SECONDS):
            print(f"  {lote}: nobody passed '{point.name}'; {self.launcher.history(lote)}", flush=True)
            return Try(struck=False, lost=False, healed=False, seconds=0)
        whole = self.holds(lote, old, new)
        try:
            wait_until(lambda: self.holds(lote, new), f"{lote} as it is now", _HEAL_SECONDS)
            seconds, self.held[lote] = monotonic() - trap.sprung_at, new
            wait_until(lambda: self.launcher.has_succeeded(run_id), f"{lote}'s run", _HEAL_SECONDS)
        except NotInTimeError as error:
            print(f"  {error}; {self.launcher.history(lote)}", flush=True)
            return Try(struck=True, lost=not whole, healed=False, seconds=_HEAL_SECONDS)
        return Try(struck=True, lost=not whole, healed=True, seconds=seconds)


def worker_killed(times: int, folder: Path, subject: Subject = PURCHASES) -> Outcome:
    """Kill the worker at each of the places in turn, two lots at a time."""
    free: SimpleQueue[str] = SimpleQueue()
    for lote in subject.partitions:
        free.put(lote)
    with _scene(folder, subject) as scene, ThreadPoolExecutor(len(subject.partitions)) as pool:

        def attempt(point: Point) -> Try:
            lote = free.get()
            came = scene.attempt(lote, point)
            free.put(lote)
            said = "TORN" if came.lost else "whole"
            healed = f"healed after {came.seconds:.1f} s" if came.healed else "NOT HEALED"
            print(f"  {lote} {point.name}: {said}, {healed}", flush=True)
            return came

        tries = [one for one in pool.map(attempt, _points(times)) if one.struck]
        verified = scene.stack.command("verify")
        if verified.returncode:
            print(f"  verify: {verified.stdout}{verified.stderr}", flush=True)
    return Outcome(
        times=len(tries),
        lost=sum(one.lost for one in tries) + bool(verified.returncode),
        doubled=0,
        healed=sum(one.healed for one in tries),
        seconds=[one.seconds for one in tries if one.healed],
        note=f"{min(times, len(POINTS))} points of a batch",
    )


def _points(times: int) -> Sequence[Point]:
    """Return the places to strike at: all in turn, or for a few times the most telling."""
    first = sorted(POINTS, key=lambda point: point.name not in _FIRST_TRIES)
    return list(islice(cycle(POINTS if times >= len(POINTS) else first), times))


@contextmanager
def _scene(folder: Path, subject: Subject) -> Iterator[_Scene]:
    """Have the lots loaded for the first time, through the traps."""
    api, traps = FaultyApi(subject.api(), parameter=subject.parameter), Traps()
    loaded = f"SELECT FROM {entries_of(subject.tables)} HAVING count(*) = 4"
    with (
        served(api) as api_url,
        led_stack(
            folder,
            *subject.words,
            api_url=api_url,
            url_variable=subject.url_variable,
            module=subject.module,
            on_api=traps.on_api,
            on_database=traps.on_database,
        ) as led,
    ):
        wait_until(lambda: led.stack.ask(loaded), "first lots", 120)
        with launcher_of(led.stack) as launcher:
            yield _Scene(subject, api, api_url, traps, led.stack, launcher)
