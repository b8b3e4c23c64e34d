"""Waiting for what other processes do, and ending them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from time import monotonic, sleep

import psutil

_LOOK_SECONDS = 0.1


class NotInTimeError(Exception):
    """What was waited for did not come."""


def children(
    parent: psutil.Process, *, recursive: bool = False
) -> Iterator[tuple[psutil.Process, list[str]]]:
    """Yield the running child processes of a process, each with its command line; of these too, if recursive."""
    for child in parent.children(recursive=recursive):
        with suppress(psutil.NoSuchProcess):  # else it has ended meanwhile
            yield child, child.cmdline()


def kill(processes: Sequence[psutil.Process]) -> int:
    """SIGKILL processes, wait until they are gone, and return how many there were."""
    struck = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
            struck.append(process)
    wait_until(lambda: not any(map(_runs, struck)), "the end of what was killed", 10, look_seconds=0.01)
    return len(struck)


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def wait_until(
    seen: Callable[[], object],
    what: str = "what was waited for",
    seconds: float = 60.0,
    *,
    look_seconds: float = _LOOK_SECONDS,
) -> float:
    """Return after how many seconds a thing was seen.

    Raises:
        NotInTimeError: it was not, in so many seconds.
    """
    began = monotonic()
    while not seen():
        if monotonic() - began > seconds:
            raise NotInTimeError(f"{what}: not within {seconds:g} s")
        sleep(look_seconds)
    return monotonic() - began
