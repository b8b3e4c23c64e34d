"""A contender of the benchmark `orders`, in a process of its own.

`python -m benchmarks.peers.order_worker NAME API_URL DATABASE_URL FOLDER PARTITION`
"""

import gc
import json
import os
import sys
from importlib import import_module
from time import perf_counter, process_time

from benchmarks.memory import peak_mib

MODULES = {
    "ours": "benchmarks.our_orders",
    "pydantic": "benchmarks.peers.orders_pydantic",
    "msgspec": "benchmarks.peers.orders_msgspec",
    "pandera": "benchmarks.peers.orders_pandera",
    "dlt": "benchmarks.peers.orders_dlt",
    "duckdb": "benchmarks.peers.orders_duckdb",
    "polars": "benchmarks.peers.orders_polars",
    "adbc": "benchmarks.peers.orders_adbc",
}
"""Modules with `load(api_url, database_url, partition) -> Loaded`, by the contender's name."""


def main() -> None:
    """Load one batch, the first of this process; print its seconds, memory and rows as JSON."""
    name, api_url, database_url, folder, partition = sys.argv[1:]
    os.chdir(folder)
    load = import_module(MODULES[name]).load
    gc.collect()
    gc.freeze()  # as in a run's process; nobody pays for what the others' imports have left
    started, cpu_before = perf_counter(), process_time()
    loaded = load(api_url, database_url, partition)
    cpu_seconds, seconds = process_time() - cpu_before, perf_counter() - started
    costs = {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": peak_mib()}
    print(json.dumps({**costs, **loaded._asdict()}))


if __name__ == "__main__":
    main()
