"""The APIs of the benchmarks that are not this project's mock, each in its own process."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from purchase_pipeline_tests.serving import answers, free_port
from purchase_pipeline_tests.waiting import wait_until

_START_SECONDS = 60.0
_PROJECT = Path(__file__).parent.parent


@contextmanager
def original_api() -> Iterator[str]:
    """Serve the API of the first version while the context is open; yield its URL."""
    with _served("benchmarks.peers.original_api:create_app", "/gerar_compra/1") as url:
        yield url


@contextmanager
def orders_api() -> Iterator[str]:
    """Serve the API of orders while the context is open; yield its URL."""
    with _served("benchmarks.orders_api:create_app", "/ready") as url:
        yield url


@contextmanager
def _served(factory: str, ready: str) -> Iterator[str]:
    port = str(free_port())
    server = [sys.executable, "-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--port", port]
    api = subprocess.Popen([*server, "--factory", factory], cwd=_PROJECT)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(f"{url}{ready}"), f"the API {factory}", _START_SECONDS)
        yield url
    finally:
        api.terminate()
        api.wait()
