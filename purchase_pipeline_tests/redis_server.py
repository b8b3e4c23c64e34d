"""A real Redis, for as long as a test needs it."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import redis

from purchase_pipeline_tests.serving import free_port

_START_SECONDS = 20


class RedisServer:
    """One server on a port, which keeps what it holds in a folder, and can be killed and started again."""

    def __init__(self, folder: Path, *, host: str = "127.0.0.1", inside: Sequence[str] = ()) -> None:
        self._folder = folder
        self._host = host
        self._inside = inside
        self._port = free_port()
        self._process: psutil.Popen | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://{self._host}:{self._port}/0"

    def start(self) -> None:
        """Start it, with what it held when it ended.

        Raises:
            FileNotFoundError: Redis is not installed (Debian: `apt-get install redis-server`).
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "bind": self._host,
            "port": str(self._port),
            "dir": str(self._folder),
            "appendonly": "yes",
        }
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self._process = psutil.Popen(
            [*self._inside, "redis-server", *options, "--protected-mode", "no", "--save", ""],
            stdout=subprocess.DEVNULL,
        )

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + _START_SECONDS
        with redis.Redis.from_url(self.url, socket_connect_timeout=1) as client:
            while True:
                try:
                    client.ping()
                except redis.RedisError:
                    assert time.monotonic() < deadline, "redis-server does not answer"
                    time.sleep(0.05)
                else:
                    return

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.is_running():
            for child in self._process.children(recursive=True):
                child.kill()
            self._process.kill()
            self._process.wait()
