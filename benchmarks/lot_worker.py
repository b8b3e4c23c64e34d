"""A process that loads batches and reports its own memory.

`python -m benchmarks.lot_worker API_URL LANDING_FOLDER DATABASE_URL ROWS LOTS`
"""

import json
import sys
from pathlib import Path
from time import perf_counter

import purchase_pipeline.definitions  # noqa: F401  # a run's process imports them
from benchmarks.ours import our_path
from purchase_pipeline_tests.big_slice import peak_mib

_WARM_ROWS = 10_000


def main() -> None:
    """Load a small batch to warm up, then the requested batches; print seconds and MiB as JSON."""
    api_url, landing, database_url = sys.argv[1:4]
    rows, lots = (int(word) for word in sys.argv[4:6])
    imported = peak_mib()
    seconds = list[float]()
    with our_path(api_url, Path(landing), database_url) as path:
        path.load("lote-0001", rows=_WARM_ROWS)
        for number in range(2, lots + 2):
            started = perf_counter()
            path.load(f"lote-{number:04d}", rows=rows)
            seconds.append(perf_counter() - started)
    print(json.dumps({"imported_mib": imported, "peak_mib": peak_mib(), "seconds": seconds}))


if __name__ == "__main__":
    main()
