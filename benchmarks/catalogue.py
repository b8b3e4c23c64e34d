"""All benchmarks: each a module of this package with `run(rounds) -> Measured`, and what it measures."""

from collections.abc import Callable
from importlib import import_module

from benchmarks.figures import Measured

BENCHMARKS = {
    "data_path": "one batch of 10,000 rows from request to commit, compared with other methods",
    "quick": "the same in a minute, for CI",
    "lot_sizes": "lots of 10,000 to 1,000,000 rows: seconds a row, memory",
    "growth": "one lot into tables of 0 to 10 million rows",
    "frames": "a frame of a million rows into a table and back, beside ADBC and COPY of ready bytes",
    "sales": "marts and report of 50 lots: from nothing, and with one lot more",
    "mock_api": "rows a second that the mock API serves",
    "ingest": "`purchase-pipeline ingest`, 50 lots, whole process",
    "cadence": "50 lots at 5 s: from tick to commit",
}


def benchmark(name: str) -> Callable[[int], Measured]:
    """Import a benchmark, with only the packages that it needs, and return its `run`."""
    run: Callable[[int], Measured] = import_module(f"benchmarks.{name}").run
    return run
