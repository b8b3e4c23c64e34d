"""What grows with the number of batches: definitions, sensor ticks, polls of `up`, pages of the Dagster UI."""

import json
import subprocess
import sys
from collections.abc import Sequence
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, Measured, Ratio

LOTS = (100, 10_000, 100_000)

_NOTES = (
    "All batches but ten are loaded, with 50 rows each, one of them rejected.",
    "Batches, runs, checks and materializations are SQL copies of one real batch's, 5 s apart.",
    "Other events of a run, and ticks, which are kept for days, are not copied.",
    "Each number of batches has its own server, home and process.",
    "`up` polls twice a second; it reads all loaded batches once, when it starts.",
    "Pages are opened in a fresh Chromium profile, and timed until their main content is visible.",
    "kB: all GraphQL responses until the page is idle.",
)


def run(rounds: int, lots: Sequence[int] = LOTS) -> Measured:
    """Measure with few and with many batches."""
    measured = {number: _measured(number, rounds) for number in lots}
    figures = {
        (what, number): Figure(f"{what}, {number:,} batches", unit, values)
        for number in lots
        for what, (unit, values) in measured[number].items()
    }
    ratios = [
        Ratio(f"{what}, {number:,} batches / {lots[0]:,}", figures[what, number], figures[what, lots[0]])
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
