"""The loop of the first version, whole: its API, its worker and a server, each a process of its own."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx

from benchmarks.bench import a_server
from purchase_pipeline_tests.drills.waiting import wait_for
from purchase_pipeline_tests.serving import free_port

LOTS = 5
"""Lots that are timed; it is too slow for more."""

_API_START_SECONDS = 60.0
_PROJECT = Path(__file__).parent.parent


@contextmanager
def the_original_loop(rows: int) -> Iterator[Callable[[], float]]:
    """Start what the worker needs; yield a function that runs it, and returns the seconds of one lot."""
    with a_server() as (_, server), _api() as api_url:
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


@contextmanager
def _api() -> Iterator[str]:
    port = str(free_port())
    server = [sys.executable, "-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--port", port]
    api = subprocess.Popen([*server, "--factory", "benchmarks.peers.original_api:create_app"], cwd=_PROJECT)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(url), "the first version's API", _API_START_SECONDS)
        yield url
    finally:
        api.terminate()
        api.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/gerar_compra/1", trust_env=False).is_success
    except httpx.TransportError:
        return False
