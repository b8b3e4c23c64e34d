"""A home folder has one `up` or `ingest` at a time; a killed one releases it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from purchase_pipeline.stack.lock import AlreadyRunningError, exclusive_use, running_process

HOLDS_UNTIL_KILLED = """
import sys
import time
from pathlib import Path

from purchase_pipeline.stack.lock import exclusive_use

with exclusive_use(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def another_run(home: Path) -> Iterator[int]:
    """Lock a home folder in another process, killed afterwards; yield its PID."""
    command = [sys.executable, "-c", HOLDS_UNTIL_KILLED, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            yield process.pid
        finally:
            process.kill()


def test_a_second_run_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    home = tmp_path / "not" / "there yet"

    with another_run(home) as pid:
        with pytest.raises(AlreadyRunningError) as refused, exclusive_use(home):
            pytest.fail("two runs in one home")
        assert f"Another run (PID {pid}) is using {home}." in str(refused.value)
        assert running_process(home) == pid

    assert running_process(home) is None
    with exclusive_use(home):
        assert running_process(home) == os.getpid()


def test_a_released_home_is_free(tmp_path: Path) -> None:
    for _ in range(2):
        with exclusive_use(tmp_path):
            assert running_process(tmp_path) == os.getpid()

        assert running_process(tmp_path) is None


def test_a_failed_run_releases_its_home(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive_use(tmp_path):
        raise ZeroDivisionError

    assert running_process(tmp_path) is None


def test_another_home_is_free(tmp_path: Path) -> None:
    with exclusive_use(tmp_path / "a"), exclusive_use(tmp_path / "b"):
        assert running_process(tmp_path / "a") == running_process(tmp_path / "b") == os.getpid()


def test_child_processes_do_not_hold_the_lock(tmp_path: Path) -> None:
    with exclusive_use(tmp_path):
        child = subprocess.Popen(["/bin/sleep", "60"])

    with child:
        try:
            assert running_process(tmp_path) is None
        finally:
            child.kill()
