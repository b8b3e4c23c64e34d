"""All benchmarks: each a module of this package with `run(rounds) -> Measured`, and what it measures."""

from collections.abc import Callable
from importlib import import_module

from benchmarks.figures import Measured

BENCHMARKS = {
    "data_path": "one batch of 10,000 rows from request to commit, compared with other methods",
    "quick": "the same in a minute, for CI",
    "lot_sizes": "batches of 10,000 to 1,000,000 rows: time per row, memory",
    "growth": "one batch into tables of 0 to 10 million rows",
    "frames": "a frame of a million rows into a table and back, compared with ADBC and COPY of encoded bytes",
    "validation": "validation alone, on rows that repeat much or little, compared with pydantic a row",
    "orders": "one batch of 10,000 realistic orders from request to commit, in a cold process, compared with peers",
    "feeds": "a CSV export of a million rows, and 240 months of statistics, compared with dlt",
    "sales": "marts and report of 50 batches: from scratch, and after one more batch",
    "mock_api": "rows per second served by the mock API",
    "ingest": "`purchase-pipeline ingest`, 50 batches, whole process",
    "cadence": "50 batches, one every 5 s: tick to commit",
}


def benchmark(name: str) -> Callable[[int], Measured]:
    """Import a benchmark, with only the packages that it needs, and return its `run`."""
    run: Callable[[int], Measured] = import_module(f"benchmarks.{name}").run
    return run
