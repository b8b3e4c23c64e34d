"""The real command in an empty home, as a person runs it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep, time
from typing import NamedTuple

import psutil

from purchase_pipeline_tests.live_stack import LiveStack

_LOOK_SECONDS = 0.02
_MOST_SECONDS = 900.0
_STOP_SECONDS = 90.0


class CommandFailedError(Exception):
    """The command did not do what is measured."""


class Ran(NamedTuple):
    """One command, done.

    Attributes:
        began_at, ended_at: seconds since the epoch.
        cpu_seconds: of the command, and of what it started and saw the end of.
        server_cpu_seconds: of PostgreSQL, which is nobody's child.
    """

    began_at: float
    ended_at: float
    cpu_seconds: float
    server_cpu_seconds: float

    @property
    def seconds(self) -> float:
        """From the start of the process to its end."""
        return self.ended_at - self.began_at


@contextmanager
def an_empty_home() -> Iterator[LiveStack]:
    """Yield a home in which nothing was started, with no setting of the shell's; reset it at the end."""
    with TemporaryDirectory(prefix="bench-") as folder:
        home = LiveStack(Path(folder) / "home")
        try:
            yield home
        finally:
            home.command("reset", "--yes")


@contextmanager
def started(home: LiveStack, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the command, which prints to the home's log; end it, as a service manager does, if it is still there."""
    home.log.write_text("")
    command = home.spawn(*words)
    try:
        yield command
    finally:
        command.terminate()
        command.wait(_STOP_SECONDS)


def run_command(home: LiveStack, *words: str) -> Ran:
    """Run the command to its end.

    Raises:
        CommandFailedError: it says that not all lots are loaded, or does not end; with what it printed last.
    """
    cpu_before, began_at = _children_cpu_seconds(), time()
    with started(home, *words) as command:
        server_cpu = 0.0
        deadline = monotonic() + _MOST_SECONDS
        while command.poll() is None and monotonic() < deadline:
            # The server hands over what its ended processes took; when it is last seen, all but two have ended.
            server_cpu = _server_cpu_seconds(home) or server_cpu
            sleep(_LOOK_SECONDS)
        ended_at = time()
        require_success(home, command)
    return Ran(began_at, ended_at, _children_cpu_seconds() - cpu_before, server_cpu)


def require_success(home: LiveStack, command: "subprocess.Popen[bytes]") -> None:
    """Make sure that a command has ended well.

    Raises:
        CommandFailedError: it has not; with what it printed last.
    """
    if command.poll() != 0:
        raise CommandFailedError(f"exit code {command.poll()}: {home.log.read_text()[-2000:]}")


def cpu_seconds(process: psutil.Process) -> float:
    """Return the processor time of a process, and of its children that have ended."""
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
