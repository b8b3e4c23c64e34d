"""Locks on files of the embedded PostgreSQL, which are released even if their process is killed."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Lock a folder, created if missing. If it was deleted during the wait, lock the new one."""
    while True:
        home.mkdir(parents=True, exist_ok=True)
        path = home / "lock"
        with opened(path) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if is_same(path, lock.fileno()):
                yield
                return


def is_same(path: Path, descriptor: int) -> bool:
    """Return whether a path still names an open file."""
    with suppress(FileNotFoundError):
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    return False


def opened(path: Path) -> IO[str]:
    """Open a lock file, created with a mode that prevents others from locking it."""
    path.touch(mode=0o600)
    return path.open("a")
