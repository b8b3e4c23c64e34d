"""The data path in a minute, with what the development lock installs: what CI can hold against the last record."""

from benchmarks.bench import a_bench
from benchmarks.contenders import take_turns
from benchmarks.data_path import ROWS, ratios_of_those_at_hand, those_at_hand
from benchmarks.figures import Measured, Ratio
from benchmarks.served_original import original_api

_NOTES = ("The shortest comparison; `python -m benchmarks --check` holds a new one against its ratios.",)
_GROSS = 2.0


def run(rounds: int) -> Measured:
    """Let ours, the original's method, `to_sql` and the floor take turns."""
    with a_bench() as bench, original_api() as original_url, those_at_hand(bench, original_url) as at_hand:
        seconds = take_turns(at_hand.contenders, rounds, ROWS)
    return Measured("quick", list(seconds.values()), ratios_of_those_at_hand(seconds, at_hand), _NOTES)


def gross_losses(now: Measured, recorded: Measured) -> list[str]:
    """Say, a sentence each, which ratios are twice as bad as recorded, of those that promise something."""
    before = {ratio.name: ratio for ratio in recorded.ratios}
    return [
        f"{ratio.name}: {ratio.median:.2f} now, {before[ratio.name].median:.2f} recorded."
        for ratio in now.ratios
        if ratio.promises and ratio.name in before and _loss(ratio, before[ratio.name]) > _GROSS
    ]


def _loss(now: Ratio, before: Ratio) -> float:
    return now.median / before.median if now.at_least is None else before.median / now.median
