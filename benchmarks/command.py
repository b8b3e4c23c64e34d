"""Runs the real command in an empty home."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep, time
from typing import NamedTuple

import psutil

from purchase_pipeline_tests.drills.live_stack import LiveStack
from purchase_pipeline_tests.person import COMMAND

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


@contextmanager
def started(home: LiveStack, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the command, logging to the home's log; terminate it at the end if it is still running."""
    with home.log.open("wb") as log:
        command = subprocess.Popen(
            [COMMAND, *words],
            env=home.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield command
    finally:
        command.terminate()
        command.wait(_STOP_SECONDS)


def run_command(home: LiveStack, *words: str) -> Ran:
    """Run the command to its end.

    Raises:
        CommandFailedError: it failed or timed out; the message has the end of its output.
    """
    cpu_before, began_at = _children_cpu_seconds(), time()
    with started(home, *words) as command:
        server_cpu = 0.0
        deadline = monotonic() + _MOST_SECONDS
        while command.poll() is None and monotonic() < deadline:
            # The postmaster accumulates the CPU time of its ended children; at the last sample, all but two have ended.
            server_cpu = _server_cpu_seconds(home) or server_cpu
            sleep(_POLL_SECONDS)
        ended_at = time()
        require_success(home, command)
    return Ran(began_at, ended_at, _children_cpu_seconds() - cpu_before, server_cpu)


def require_success(home: LiveStack, command: "subprocess.Popen[bytes]") -> None:
    """Check that a command succeeded.

    Raises:
        CommandFailedError: it did not; the message has the end of its output.
    """
    if command.poll() != 0:
        raise CommandFailedError(f"exit code {command.poll()}: {home.log.read_text()[-2000:]}")


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process and its ended children."""
    return sum(process.cpu_times()[:4])


def _children_cpu_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _server_cpu_seconds(home: LiveStack) -> float:
    try:
        first = home.postmaster()
        return cpu_seconds(first) if first else 0.0
    except psutil.Error:
        return 0.0
