"""A fault tried on a lot that is loaded, time after time, and what came of it counted."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from time import monotonic
from typing import NamedTuple, TypeAlias

from resilience.drills.lot_bench import LotBench
from resilience.drills.outcome import Outcome

HasStruck: TypeAlias = Callable[[], bool]
Fault: TypeAlias = Callable[[LotBench], AbstractContextManager[HasStruck]]
"""Is on while its context is open; gives a function that says whether it has struck."""


class Trial(NamedTuple):
    """What came of one time.

    Attributes:
        struck: whether the fault did happen.
        succeeded: whether the struck run said that it succeeded.
        honest: after the struck run the old lot was there whole, or the new one; the new one if it said success.
        surplus: rows too many, then or at the end.
        healed: whether the new lot was whole at the end.
        seconds: from the start of the struck run to the whole lot.
    """

    struck: bool
    succeeded: bool
    honest: bool
    surplus: int
    healed: bool
    seconds: float


def try_once(bench: LotBench, fault: Fault, *, refetch: bool = False) -> Trial:
    """Load a new version of the lot under the fault; then once more without it, if that run failed.

    `refetch`: whether the second run asks the API again, or uses what has landed, as a retry does by itself.
    """
    old, new = bench.held, bench.next_version()
    began = monotonic()
    with fault(bench) as has_struck:
        succeeded = bench.load(refetch=True)
        struck = has_struck()
    holds_new = bench.holds(new)
    honest = holds_new or (not succeeded and bench.holds(old))
    surplus = bench.surplus()
    if not succeeded:
        bench.load(refetch=refetch)
    ended = monotonic()
    healed = bench.holds(new)
    bench.held = new
    return Trial(
        struck=struck,
        succeeded=succeeded,
        honest=honest,
        surplus=surplus + bench.surplus(),
        healed=healed,
        seconds=ended - began,
    )


def outcome_of_struck(times: int, try_one: Callable[[], Trial]) -> Outcome:
    """Try until the fault has struck so many times; a race is not won each time, so up to twice as often."""
    trials = list[Trial]()
    while sum(trial.struck for trial in trials) < times and len(trials) < 2 * times:
        trials.append(try_one())
    return outcome_of(trials)


def outcome_of(trials: Sequence[Trial], note: str = "") -> Outcome:
    """Count the trials whose fault has struck; all others count for nothing."""
    struck = [trial for trial in trials if trial.struck]
    unaided = sum(trial.succeeded for trial in struck)
    notes = [f"{unaided} within the run, {len(struck) - unaided} by the next one", note]
    if len(struck) < len(trials):
        notes.append(f"{len(trials) - len(struck)} did not strike")
    return Outcome(
        times=len(struck),
        lost=sum(not trial.honest for trial in struck),
        doubled=sum(trial.surplus for trial in struck),
        healed=sum(trial.healed for trial in struck),
        seconds=[trial.seconds for trial in struck],
        note="; ".join(filter(None, notes)),
    )
