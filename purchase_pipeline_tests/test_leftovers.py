"""A test run that is interrupted or killed leaves no process and no server's folder."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from purchase_pipeline_tests.waiting import children, wait_until

PROJECT = Path(__file__).parent.parent
RUN = [sys.executable, "-m", "pytest", "-q", "-pno:cacheprovider", "purchase_pipeline_tests/endless_run.py"]

pytestmark = pytest.mark.proof


class Run:
    """A test run that waits, and what it has started."""

    def __init__(self, workers: int, folder: Path) -> None:
        started = folder / "started.json"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        self.process = subprocess.Popen(
            [*RUN, f"-n{workers}", f"--basetemp={folder / 'run'}"],
            cwd=PROJECT,
            env={**environment, "STARTED": str(started)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(started.exists, "the start of the tests", 180)
        found = json.loads(started.read_text())
        self._pids, self._folder = found["pids"], Path(found["folder"])
        self.worker = self._pids[0]

    def left(self) -> list[object]:
        """Return which of its processes still run, and its server's folder if it is there."""
        return [*filter(runs, self._pids), *([self._folder] if self._folder.exists() else [])]

    def watcher(self) -> psutil.Process:
        (watcher,) = (
            process
            for process, words in children(psutil.Process(self.process.pid))
            if "purchase_pipeline_tests.leftovers" in words
        )
        return watcher


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(("workers", "stops"), [(0, [signal.SIGTERM]), (1, [signal.SIGINT, signal.SIGINT])])
def test_a_run_that_is_stopped_leaves_nothing(
    workers: int, stops: list[signal.Signals], tmp_path: Path
) -> None:
    run = Run(workers, tmp_path)
    assert len(run.left()) == 4

    for stop in stops:
        os.killpg(run.process.pid, stop)  # as a terminal does
    run.process.wait(90)

    wait_until(lambda: run.left() == [], "the end of what was left", 90)


def test_what_a_killed_worker_left_is_gone_when_the_run_ends(tmp_path: Path) -> None:
    run = Run(1, tmp_path)
    os.kill(run.worker, signal.SIGKILL)

    run.process.send_signal(signal.SIGINT)
    run.process.wait(90)

    wait_until(lambda: run.left() == [], "the end of what was left", 90)


def test_the_next_run_removes_what_is_left_where_nobody_watched(tmp_path: Path) -> None:
    run = Run(0, tmp_path)
    run.watcher().kill()
    run.process.kill()
    run.process.wait(90)
    assert len(run.left()) == 3

    subprocess.run([*RUN, "-n0", "--collect-only"], cwd=PROJECT, check=True, capture_output=True, timeout=180)

    assert run.left() == []
