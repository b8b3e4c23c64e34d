"""One campaign at a time in a home folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from purchase_pipeline.errors import PipelineError

_LOCK = "campaign.lock"


class AlreadyRunningError(PipelineError):
    """Another `up` or `ingest` works in the same home folder."""


class DaemonRunningError(PipelineError):
    """Another daemon of Dagster's works on the same storage, from whatever home folder or machine."""


@contextmanager
def exclusive_use(home: Path) -> Iterator[None]:
    """Hold the home folder for this process, until it ends in whatever way.

    Raises:
        AlreadyRunningError: another process holds it.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / _LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(
                f"Process {_pid(home)} works in {home} already. Stop it with Ctrl-C, or with `purchase-pipeline down`."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def running_process(home: Path) -> int | None:
    """Return the pid of the process that holds the home folder, if one does."""
    try:
        with exclusive_use(home):
            return None
    except AlreadyRunningError:
        return _pid(home)


def _pid(home: Path) -> int | None:
    text = (home / _LOCK).read_text()
    return int(text) if text.isdigit() else None
