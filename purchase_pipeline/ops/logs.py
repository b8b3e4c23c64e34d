"""The logs of the local stack's services."""

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import sleep

import click
from rich.console import Console
from rich.text import Text

from purchase_pipeline.ingest.printable import printable
from purchase_pipeline.ops.lines import print_text

SERVICES = ("mock_api", "code_server", "daemon", "metrics", "webserver")
"""The services of `up`, in the order of their start; each has a log of its name."""

_POLL_SECONDS = 0.5


class ServiceLog:
    """The log of one service, read from its end on; it may not exist yet."""

    def __init__(self, home: Path, service: str) -> None:
        self.service = service
        self.path = home / "logs" / f"{service}.log"
        self._read = 0

    def last(self, lines: int) -> Sequence[bytes]:
        """Return the last lines."""
        return deque(self._new(), maxlen=lines)

    def new(self) -> Sequence[bytes]:
        """Return the lines that were written since the last call of either method."""
        return list(self._new())

    def _new(self) -> Iterator[bytes]:
        if not self.path.exists():
            return
        if self.path.stat().st_size < self._read:  # deleted, and begun again
            self._read = 0
        with self.path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if line.endswith(b"\n"):  # otherwise it is still being written
                    self._read += len(line)
                    yield line


def print_logs(logs: Sequence[ServiceLog], lines: int, console: Console, *, follow: bool) -> None:
    """Print the last lines of each log; then, until interrupted, what is added."""
    width = max(len(log.service) for log in logs)
    for log in logs:
        _print(log, log.last(lines), width, console)
    while follow:
        sleep(_POLL_SECONDS)
        for log in logs:
            _print(log, log.new(), width, console)


def _print(log: ServiceLog, lines: Sequence[bytes], width: int, console: Console) -> None:
    for line in lines:
        text = printable(click.unstyle(line.decode(errors="replace").rstrip()).expandtabs())
        print_text(console, Text.assemble((f"{log.service:{width}} | ", "cyan"), text))
