"""A lock on a home folder: one `up` or `ingest` at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from purchase_pipeline import PipelineError

_LOCK = "campaign.lock"


class AlreadyRunningError(PipelineError):
    """Another `up` or `ingest` is using the same home folder."""


class DaemonRunningError(PipelineError):
    """Another Dagster daemon uses the same storage, from this machine or another."""


@contextmanager
def exclusive_use(home: Path) -> Iterator[None]:
    """Lock the home folder; the lock is also released when the process is killed.

    Raises:
        AlreadyRunningError: another process holds the lock.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / _LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(
                f"Another run (PID {_pid(home)}) is using {home}.",
                hint="Stop it with Ctrl-C, or with `purchase-pipeline down`.",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def running_process(home: Path) -> int | None:
    """Return the PID of the process that holds the lock, or None."""
    try:
        with exclusive_use(home):
            return None
    except AlreadyRunningError:
        return _pid(home)


def _pid(home: Path) -> int | None:
    text = (home / _LOCK).read_text()
    return int(text) if text.isdigit() else None
