"""Every benchmark there is: a module of this package, with `run(rounds) -> Measured`, and what it measures."""

from collections.abc import Callable
from importlib import import_module

from benchmarks.figures import Measured

BENCHMARKS = {
    "data_path": "one lot of 10,000 rows from request to commit, beside other ways to do it",
    "quick": "the same in a minute, for CI",
    "lot_sizes": "lots of 10,000 to 1,000,000 rows: seconds a row, memory",
    "growth": "one lot into tables of 0 to 10 million rows",
    "replacements": "the same lot replaced 100 times: dead rows, room, time",
    "frames": "a frame of a million rows into a table and back, beside ADBC and COPY of ready bytes",
    "sales": "marts and report of 50 lots: from nothing, and with one lot more",
    "many_lots": "100 to 100,000 lots: definitions, ticks of the sensors, a look of `up`, pages of Dagster's UI",
    "mock_api": "rows a second that the mock API serves",
    "run_worker": "processor time of a run beside that of an empty one",
    "ingest": "`purchase-pipeline ingest`, 50 lots, whole process",
    "cadence": "50 lots at 5 s: from tick to commit, processor and memory of the stack",
}


def benchmark(name: str) -> Callable[[int], Measured]:
    """Return a benchmark's `run`. What it needs is imported now, and by no other."""
    run: Callable[[int], Measured] = import_module(f"benchmarks.{name}").run
    return run
