"""Removes servers, processes and folders that an interrupted or killed test run leaves behind.

The process `python -m purchase_pipeline_tests.leftovers RECORD` outlives the run and does it; else the next run does. A
run's record lists the folders of its homes.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import sleep

import psutil

from purchase_pipeline import PipelineError
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline.stack.processes import end

_RECORDS = Path(tempfile.gettempdir()) / f"purchase-pipeline-tests-of-{os.geteuid()}"
_RUN = "TEST_RUN_RECORD"  # in the environment of every process that a run starts
_STOP_SECONDS = 2.0
_LOOK_SECONDS = 0.2


def begin() -> None:
    """Clean up after dead runs, and start the process that cleans up after this one."""
    _RECORDS.mkdir(mode=0o700, exist_ok=True)
    assert _RECORDS.stat().st_uid == os.geteuid(), f"{_RECORDS} belongs to another user: delete it."
    own = _RECORDS / str(os.getpid())
    for record in _RECORDS.iterdir():
        if record == own or not _runs(int(record.name)):
            remove(record)
    own.touch()
    watcher = subprocess.Popen(
        [sys.executable, "-m", __name__, str(own)],
        cwd=Path(__file__).parent.parent,
        env={name: value for name, value in os.environ.items() if name != _RUN},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that Ctrl-C does not reach it
    )
    watcher.returncode = 0  # suppresses the warning that it is still running
    os.environ[_RUN] = str(own)


def note(folder: Path) -> Path:
    """Record a folder in which this run makes homes, and return it."""
    with Path(os.environ[_RUN]).open("a") as record:
        record.write(f"{folder}\n")
    return folder


def short_folder(prefix: str) -> Path:
    """Make a folder whose path leaves room for a socket's."""
    return note(Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp")))


def remove(record: Path) -> None:
    """End the processes of a run that has ended, and remove its servers and their homes."""
    while processes := list(_processes(record)):
        end(processes, _STOP_SECONDS)
    with suppress(FileNotFoundError):  # another process did it meanwhile
        for root in map(Path, record.read_text().splitlines()):
            for home in list(_homes(root)):
                EmbeddedPostgres(home).remove()
            with suppress(OSError):  # not empty
                root.rmdir()
        record.unlink()


def _processes(record: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(_RUN) == str(record) and _runs(process.pid):
                yield process


def _homes(root: Path) -> Iterator[Path]:
    """Find the homes with an embedded server, running or not."""
    for folder, folders, files in os.walk(root):
        if "lock" in files and "server" in (*folders, *files):
            folders.clear()
            yield Path(folder)


def _runs(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


if __name__ == "__main__":
    given = Path(sys.argv[1])
    while _runs(int(given.name)):
        sleep(_LOOK_SECONDS)
    with suppress(PipelineError):  # else the next run does it
        remove(given)
