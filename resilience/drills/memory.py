"""The memory of long-lived processes: samples and their statistics."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from statistics import median
from time import monotonic

import psutil

from purchase_pipeline_tests.live_stack import LiveStack

_SAMPLE_SECONDS = 10.0
_MEGABYTE = 1 << 20


class MemoryLog:
    """Resident memory of a stack's services, by name and process: a killed one's successor is another."""

    def __init__(self, stack: LiveStack, api_port: int) -> None:
        self._sampled_at = 0.0
        self._samples: defaultdict[tuple[str, int], list[tuple[float, int]]] = defaultdict(list)
        self._services: dict[str, Callable[[], Iterable[psutil.Process]]] = {
            "up": lambda: [stack.up_process()],
            "daemon": stack.daemons,
            "code server": lambda: stack.code_servers()[:1],
            "mock API": lambda: _listening(api_port),
            "PostgreSQL's first process": lambda: filter(None, [stack.postmaster()]),
        }

    def sample(self) -> None:
        """Take a sample, unless one was taken just now."""
        now = monotonic()
        if now - self._sampled_at < _SAMPLE_SECONDS:
            return
        self._sampled_at = now
        for name, find in self._services.items():
            with suppress(psutil.Error):
                for process in find():
                    self._samples[name, process.pid].append((now, process.memory_info().rss))

    def summary(self) -> str:
        """Return, of each service's process that lived longest, the median of its first and of its last third."""
        return "; ".join(filter(None, map(self._told, self._services)))

    def _told(self, name: str) -> str:
        lives = [samples for (of, _), samples in self._samples.items() if of == name]
        longest = max(lives, key=len, default=[])
        if len(longest) < 3:
            return ""
        third = len(longest) // 3
        first, last = (
            median(rss for _, rss in part) / _MEGABYTE for part in (longest[:third], longest[-third:])
        )
        minutes = (longest[-1][0] - longest[0][0]) / 60
        return f"{name} {first:.0f} to {last:.0f} MB in {minutes:.0f} min"


def _listening(port: int) -> Iterable[psutil.Process]:
    for connection in psutil.net_connections("tcp4"):
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
            yield psutil.Process(connection.pid)
