"""Runs the real command in an empty home."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep, time
from typing import NamedTuple

import psutil

from purchase_pipeline_tests.live_stack import LiveStack

_POLL_SECONDS = 0.02
_MOST_SECONDS = 900.0
_STOP_SECONDS = 90.0


class CommandFailedError(Exception):
    """The command failed or timed out, so its time is meaningless."""


class Ran(NamedTuple):
    """One completed command.

    Attributes:
        began_at, ended_at: seconds since the epoch.
        cpu_seconds: of the command and its ended children.
        server_cpu_seconds: of PostgreSQL, which is not a child process.
    """

    began_at: float
    ended_at: float
    cpu_seconds: float
    server_cpu_seconds: float

    @property
    def seconds(self) -> float:
        """Time from the start of the process to its end."""
        return self.ended_at - self.began_at


@contextmanager
def an_empty_home() -> Iterator[LiveStack]:
    """Yield an empty home without settings from the shell; reset it at the end."""
    with TemporaryDirectory(prefix="bench-") as folder:
        home = LiveStack(Path(folder) / "home")
        try:
            yield home
        finally:
            home.command("reset", "--yes")


def run_command(home: LiveStack, *words: str) -> Ran:
    """Run the command to its end.

    Raises:
        CommandFailedError: it failed or timed out; the message has the end of its output.
    """
    cpu_before, began_at = _children_cpu_seconds(), time()
    command, server_cpu = home.spawn(*words), 0.0
    try:
        deadline = monotonic() + _MOST_SECONDS
        while command.poll() is None and monotonic() < deadline:
            # The postmaster accumulates the CPU time of its ended children; at the last sample, all but two have ended.
            server_cpu = _server_cpu_seconds(home) or server_cpu
            sleep(_POLL_SECONDS)
        ended_at = time()
        if command.poll() != 0:
            raise CommandFailedError(f"exit code {command.poll()}: {home.log.read_text()[-2000:]}")
    finally:
        command.terminate()
        command.wait(_STOP_SECONDS)
    return Ran(began_at, ended_at, _children_cpu_seconds() - cpu_before, server_cpu)


def _children_cpu_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _server_cpu_seconds(home: LiveStack) -> float:
    try:
        first = home.postmaster()
        return sum(first.cpu_times()[:4]) if first else 0.0
    except psutil.Error:
        return 0.0
