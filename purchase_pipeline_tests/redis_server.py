"""A real Redis, for as long as a test needs it."""

import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import redis

from purchase_pipeline_tests.programs import program
from purchase_pipeline_tests.serving import free_port
from purchase_pipeline_tests.waiting import wait_until

_START_SECONDS = 20


class RedisServer:
    """One server on a loopback port, which keeps what it holds in a folder, and can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: psutil.Popen | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it, with what it held when it ended."""
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "dir": str(self._folder),
            "appendonly": "yes",
        }
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        server = program("redis-server", package="redis-server")
        self._process = psutil.Popen([server, *options, "--save", ""], stdout=subprocess.DEVNULL)

    def wait(self) -> None:
        """Wait until it answers."""
        wait_until(self._answers, "redis-server's answer", _START_SECONDS)

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url, socket_connect_timeout=1) as client, suppress(redis.RedisError):
            return bool(client.ping())
        return False

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.is_running():
            self._process.kill()
            self._process.wait()
