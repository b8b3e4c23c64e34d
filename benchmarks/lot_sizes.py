"""Lots of 10,000, 100,000 and 1,000,000 rows: seconds a row, and the memory of the process that loads them."""

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
"""Rows of a lot, and how many lots of that size one process loads: of short ones, the median is taken."""

_MOST_MIB = 350

_NOTES = (
    "Each size is loaded by a new process, which has loaded one lot of 10,000 before, not counted.",
    "Peak memory is the process's own, resident, with Dagster and the pipeline's definitions imported.",
    "The seconds of the 10,000-row lot are the median of 20 lots.",
)


class _Load(NamedTuple):
    """What one process came to."""

    imported_mib: float
    peak_mib: float
    seconds_a_row: float


def run(rounds: int, sizes: dict[int, int] | None = None) -> Measured:
    """Load each size in every round, another one first each time."""
    wanted = sizes or SIZES
    order = list(wanted)
    loads: dict[int, list[_Load]] = {rows: [] for rows in wanted}
    with a_bench() as bench:
        database_url = bench.database("lot_sizes")
        make_tables(database_url)
        for number in range(rounds):
            first = number % len(order)
            for rows in (*order[first:], *order[:first]):
                loads[rows].append(_load(bench, database_url, rows, wanted[rows]))
    seconds = [
        Figure(f"time a row, lot of {rows:,} rows", "s", [load.seconds_a_row for load in loads[rows]])
        for rows in order
    ]
    peaks = [
        Figure(
            f"peak memory, lot of {rows:,} rows",
            "MiB",
            [load.peak_mib for load in loads[rows]],
            at_most=_MOST_MIB if rows == order[-1] else None,
        )
        for rows in order
    ]
    imports = Figure("peak memory, imports alone", "MiB", [load.imported_mib for load in loads[order[-1]]])
    ratios = [
        Ratio(f"time a row, {order[-1]:,} rows / {order[0]:,} rows", seconds[-1], seconds[0], at_most=1.1),
        Ratio(f"peak memory, {order[-1]:,} rows / {order[1]:,} rows", peaks[-1], peaks[1], at_most=1.15),
    ]
    return Measured("lot_sizes", [*seconds, imports, *peaks], ratios, _NOTES)


def _load(bench: Bench, database_url: str, rows: int, lots: int) -> _Load:
    tables = IntoSameTable(database_url)
    tables.clean()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")  # each starts with as much of the log to write as the others
    words = [bench.api_url, str(bench.folder / "landing"), database_url, str(rows), str(lots)]
    command = [sys.executable, "-m", "benchmarks.lot_worker", *words]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=_project())
    if (stored := tables.stored()) != 10_000 + rows * lots:
        raise RuntimeError(f"{stored} rows are stored after {lots} lots of {rows}: {printed.stderr}")
    said = json.loads(printed.stdout)
    return _Load(said["imported_mib"], said["peak_mib"], median(said["seconds"]) / rows)


def _project() -> Path:
    return Path(__file__).parent.parent
