"""The loop of the first version: its API, its worker and a server, each in its own process."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.bench import a_server
from benchmarks.served_apis import original_api

LOTS = 5
"""Number of timed batches; it is too slow for more."""

_PROJECT = Path(__file__).parent.parent


@contextmanager
def the_original_loop(rows: int) -> Iterator[Callable[[], float]]:
    """Start the worker's API and server; yield a function that runs it and returns the seconds of one batch."""
    with a_server() as (_, server), original_api() as api_url:
        words = [api_url, server.url("postgres"), str(rows), str(LOTS)]

        def seconds_a_lot() -> float:
            printed = subprocess.run(
                [sys.executable, "-m", "benchmarks.peers.original_worker", *words],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                cwd=_PROJECT,
            )
            seconds: list[float] = json.loads(printed.stdout)
            return median(seconds)

        yield seconds_a_lot
