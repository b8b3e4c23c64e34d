"""A whole `up` killed again and again while it works through its lots, and started again each time."""

import random
from pathlib import Path
from time import monotonic, sleep

from purchase_pipeline_tests.live_stack import LiveStack, dismantle
from purchase_pipeline_tests.waiting import NotInTimeError, kill, wait_until
from resilience.drills.bench_of_lots import counted, load_options
from resilience.drills.content import LOT_ENTRIES
from resilience.drills.outcome import Outcome

_ROWS, _LOTS_A_KILL = 10_000, 5
_LOADED = f"SELECT count(*) / 2 FROM {LOT_ENTRIES}"  # noqa: S608


def up_killed(times: int, folder: Path) -> Outcome:
    """Kill `up`, alone or with all that it started, and start it again; at the end everything is there, once."""
    lots = _LOTS_A_KILL * times
    stack = LiveStack(folder / "home", *load_options(lots, _ROWS), "--exit-when-done")
    seconds = list[float]()
    stack.start()
    try:
        for number in range(times):
            wait_until(lambda: loaded(stack) > number * (_LOTS_A_KILL - 1), "more lots", 180)  # noqa: B023
            sleep(random.uniform(0, 5))  # noqa: S311
            before, all_of_it = loaded(stack), number % 2
            kill(stack.running() if all_of_it else [stack.up_process()])
            struck_at = monotonic()
            stack.up.wait()
            stack.start()
            wait_until(lambda: loaded(stack) > before or loaded(stack) == lots, "the next lot", 180)  # noqa: B023
            seconds.append(monotonic() - struck_at)
            said = "up and all that it started" if all_of_it else "up alone"
            print(
                f"  {number + 1}/{times} {said}, at lot {before}: next lot after {seconds[-1]:.1f} s",
                flush=True,
            )
        code = stack.up.wait(60 + 15 * lots)
        left = stack.running()
        lost, doubled = counted(stack, lots, _ROWS)
        if code or left:
            raise NotInTimeError(f"up ended with {code}, left {left}: {stack.log.read_text()[-2000:]}")
    finally:
        dismantle(stack)
    note = f"one load of {lots} batches"
    return Outcome(times=times, lost=lost, doubled=doubled, healed=len(seconds), seconds=seconds, note=note)


def loaded(stack: LiveStack) -> int:
    """Return how many lots the ledger has; 0 while the server is away."""
    found = stack.ask(_LOADED)
    return int(found[0][0]) if found else 0
