"""The API of the first version, in its own process."""

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
    """Serve it while the context is open; yield its URL."""
    port = str(free_port())
    server = [sys.executable, "-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--port", port]
    api = subprocess.Popen([*server, "--factory", "benchmarks.peers.original_api:create_app"], cwd=_PROJECT)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(f"{url}/gerar_compra/1"), "the first version's API", _START_SECONDS)
        yield url
    finally:
        api.terminate()
        api.wait()
