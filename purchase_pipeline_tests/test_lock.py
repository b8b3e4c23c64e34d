"""A home folder has one campaign at a time, and a dead one holds nothing."""

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
def another_campaign(home: Path) -> Iterator[int]:
    """Hold a home folder in another process, killed in the end; give its pid."""
    command = [sys.executable, "-c", HOLDS_UNTIL_KILLED, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            yield process.pid
        finally:
            process.kill()


def test_a_second_campaign_is_refused_with_the_first_ones_pid_until_that_is_killed(tmp_path: Path) -> None:
    home = tmp_path / "not" / "there yet"

    with another_campaign(home) as pid:
        with pytest.raises(AlreadyRunningError) as refused, exclusive_use(home):
            pytest.fail("two campaigns in one home")
        assert f"Process {pid} works in {home} already." in str(refused.value)
        assert running_process(home) == pid

    assert running_process(home) is None
    with exclusive_use(home):
        assert running_process(home) == os.getpid()


def test_a_home_that_was_left_is_free_again(tmp_path: Path) -> None:
    for _ in range(2):
        with exclusive_use(tmp_path):
            assert running_process(tmp_path) == os.getpid()

        assert running_process(tmp_path) is None


def test_a_campaign_that_fails_leaves_its_home_free(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive_use(tmp_path):
        raise ZeroDivisionError

    assert running_process(tmp_path) is None


def test_another_home_is_free(tmp_path: Path) -> None:
    with exclusive_use(tmp_path / "a"), exclusive_use(tmp_path / "b"):
        assert running_process(tmp_path / "a") == running_process(tmp_path / "b") == os.getpid()


def test_processes_started_by_a_campaign_do_not_hold_its_home_after_it(tmp_path: Path) -> None:
    with exclusive_use(tmp_path):
        child = subprocess.Popen(["/bin/sleep", "60"])

    with child:
        try:
            assert running_process(tmp_path) is None
        finally:
            child.kill()
