"""What grows with the number of lots: definitions, a tick of each sensor, a look of `up`, the pages of Dagster's UI."""

import json
import subprocess
import sys
from collections.abc import Sequence
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, Measured, Ratio

LOTS = (100, 10_000, 100_000)

_NOTES = (
    "All lots but ten are loaded, 50 rows each, one of them rejected.",
    "Lots, runs, checks and materializations are made in the server out of one real lot's, 5 s apart.",
    "Other events of a run, and ticks, which are kept for days, are not made.",
    "Each number of lots has a server, a home and a process of its own.",
    "A look is what `up` does twice a second. To read all loaded lots is what it does once, as it starts.",
    "Pages are opened by a Chromium that has never been there. Its seconds end when what one looks for is to be seen.",
    "The kB are of all answers of GraphQL until the page is at rest.",
)


def run(rounds: int, lots: Sequence[int] = LOTS) -> Measured:
    """Measure with few lots, and with many."""
    measured = {number: _measured(number, rounds) for number in lots}
    figures = {
        (what, number): Figure(f"{what}, {number:,} lots", unit, values)
        for number in lots
        for what, (unit, values) in measured[number].items()
    }
    ratios = [
        Ratio(f"{what}, {number:,} lots / {lots[0]:,}", figures[what, number], figures[what, lots[0]])
        for what, (unit, _) in measured[lots[0]].items()
        for number in lots[1:]
        if unit == "s"
    ]
    return Measured("many_lots", list(figures.values()), ratios, _NOTES)


def _measured(lots: int, rounds: int) -> dict[str, tuple[str, list[float]]]:
    with TemporaryDirectory(prefix="bench-") as folder:
        words = ["-m", "benchmarks.many_lots_process", folder, str(lots), str(rounds)]
        done = subprocess.run([sys.executable, *words], stdout=subprocess.PIPE, text=True, check=True)
    values: dict[str, tuple[str, list[float]]] = json.loads(done.stdout.splitlines()[-1])
    return values
