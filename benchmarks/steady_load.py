"""The data path in a loop, for a profiler.

`py-spy record --idle --rate 400 --output flame.svg -- python -m benchmarks.steady_load 150`
"""

import sys
from statistics import median
from time import perf_counter

from benchmarks.bench import a_bench
from benchmarks.data_path import ROWS
from benchmarks.ours import our_path
from benchmarks.same_table import make_tables


def main() -> None:
    """Load batches of 10,000 rows, and print their median time."""
    lots = int(sys.argv[1])
    with a_bench() as bench:
        database_url = bench.database("steady_load")
        make_tables(database_url)
        seconds = list[float]()
        with our_path(bench.api_url, bench.folder / "landing", database_url, lots) as path:
            for number in range(1, lots + 1):
                started = perf_counter()
                path.load(f"lote-{number:04d}", ROWS)
                seconds.append(perf_counter() - started)
    print(f"{lots} batches of {ROWS:,} rows: {median(seconds) * 1e3:.0f} ms each (median)")


if __name__ == "__main__":
    main()
