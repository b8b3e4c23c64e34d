"""The data path in a minute, with the development lock only, for comparison with the recorded results in CI."""

from benchmarks.bench import a_bench
from benchmarks.contenders import take_turns
from benchmarks.data_path import ROWS, base_contenders, base_ratios
from benchmarks.figures import Measured, Ratio
from benchmarks.served_apis import original_api

_NOTES = ("The shortest comparison; `python -m benchmarks --check` compares a new run with its ratios.",)
_REGRESSION = 2.0


def run(rounds: int) -> Measured:
    """Let this project, the original's method, `to_sql` and the floor take turns."""
    with a_bench() as bench, original_api() as original_url, base_contenders(bench, original_url) as base:
        seconds = take_turns(base.contenders, rounds, ROWS)
    return Measured("quick", list(seconds.values()), base_ratios(seconds, base), _NOTES)


def regressions(now: Measured, recorded: Measured) -> list[str]:
    """Describe each ratio with a target that is twice as bad as recorded."""
    before = {ratio.name: ratio for ratio in recorded.ratios}
    return [
        f"{ratio.name}: {ratio.median:.2f} now, {before[ratio.name].median:.2f} recorded."
        for ratio in now.ratios
        if ratio.has_target and ratio.name in before and _factor(ratio, before[ratio.name]) > _REGRESSION
    ]


def _factor(now: Ratio, before: Ratio) -> float:
    return now.median / before.median if now.at_least is None else before.median / now.median
