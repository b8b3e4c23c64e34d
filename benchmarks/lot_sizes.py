"""Batches of 10,000, 100,000 and 1,000,000 rows: time per row, and memory of the loading process."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psycopg

from benchmarks.bench import Bench, a_bench
from benchmarks.figures import Figure, Measured, Ratio
from benchmarks.same_table import IntoSameTable, make_tables

SIZES = {10_000: 20, 100_000: 1, 1_000_000: 1}
"""Rows per batch, and the number of such batches that a process loads; their median counts."""

_MOST_MIB = 350

_NOTES = (
    "Each size is loaded by a new process, after one batch of 10,000 rows that is not counted.",
    "Peak memory is the process's resident memory, including imports of Dagster and the pipeline's definitions.",
    "The time of the 10,000-row batch is the median of 20 batches.",
)


class _Load(NamedTuple):
    """The result of one process."""

    imported_mib: float
    peak_mib: float
    seconds_per_row: float


def run(rounds: int, sizes: dict[int, int] | None = None) -> Measured:
    """Load each size in every round, in rotating order."""
    chosen = sizes or SIZES
    order = list(chosen)
    loads: dict[int, list[_Load]] = {rows: [] for rows in chosen}
    with a_bench() as bench:
        database_url = bench.database("lot_sizes")
        make_tables(database_url)
        for number in range(rounds):
            first = number % len(order)
            for rows in (*order[first:], *order[:first]):
                loads[rows].append(_load(bench, database_url, rows, chosen[rows]))
    seconds = [
        Figure(f"time per row, batch of {rows:,} rows", "s", [load.seconds_per_row for load in loads[rows]])
        for rows in order
    ]
    peaks = [
        Figure(
            f"peak memory, batch of {rows:,} rows",
            "MiB",
            [load.peak_mib for load in loads[rows]],
            at_most=_MOST_MIB if rows == order[-1] else None,
        )
        for rows in order
    ]
    imports = Figure("peak memory, imports only", "MiB", [load.imported_mib for load in loads[order[-1]]])
    ratios = [
        Ratio(f"time per row, {order[-1]:,} rows / {order[0]:,} rows", seconds[-1], seconds[0], at_most=1.1),
        Ratio(f"peak memory, {order[-1]:,} rows / {order[1]:,} rows", peaks[-1], peaks[1], at_most=1.15),
    ]
    return Measured("lot_sizes", [*seconds, imports, *peaks], ratios, _NOTES)


def _load(bench: Bench, database_url: str, rows: int, lots: int) -> _Load:
    tables = IntoSameTable(database_url)
    tables.clean()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")  # so that each writes the same amount of WAL
    words = [bench.api_url, str(bench.folder / "landing"), database_url, str(rows), str(lots)]
    command = [sys.executable, "-m", "benchmarks.lot_worker", *words]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=_project())
    if (stored := tables.stored()) != 10_000 + rows * lots:
        raise RuntimeError(f"{stored} rows are stored after {lots} batches of {rows}: {printed.stderr}")
    result = json.loads(printed.stdout)
    return _Load(result["imported_mib"], result["peak_mib"], median(result["seconds"]) / rows)


def _project() -> Path:
    return Path(__file__).parent.parent
