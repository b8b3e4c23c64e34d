"""What grows with the number of lots: to load the definitions, a tick of each sensor, a look of `up` at what is new."""

import json
import subprocess
import sys
from collections.abc import Sequence
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, Measured, Ratio

LOTS = (100, 10_000, 100_000)

_NOTES = (
    "All lots but ten are loaded. Lots, runs and materializations are made in the server out of one real lot's.",
    "Other events of a run are not made: none of what is measured reads them.",
    "Each number of lots has a server, a home and a process of its own.",
)


def run(rounds: int, lots: Sequence[int] = LOTS) -> Measured:
    """Measure with few lots, and with many."""
    measured = {number: _measured(number, rounds) for number in lots}
    figures = {
        (what, number): Figure(f"{what}, {number:,} lots", "s", values)
        for number in lots
        for what, values in measured[number].items()
    }
    ratios = [
        Ratio(f"{what}, {number:,} lots / {lots[0]:,}", figures[what, number], figures[what, lots[0]])
        for what in measured[lots[0]]
        for number in lots[1:]
    ]
    return Measured("many_lots", list(figures.values()), ratios, _NOTES)


def _measured(lots: int, rounds: int) -> dict[str, list[float]]:
    with TemporaryDirectory(prefix="bench-") as folder:
        words = ["-m", "benchmarks.many_lots_process", folder, str(lots), str(rounds)]
        done = subprocess.run([sys.executable, *words], stdout=subprocess.PIPE, text=True, check=True)
    seconds: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return seconds
