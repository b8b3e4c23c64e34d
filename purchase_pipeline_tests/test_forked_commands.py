"""A stand-in is to its user what the program is."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from purchase_pipeline_tests.forked_commands import forked
from purchase_pipeline_tests.waiting import wait_until

pytestmark = pytest.mark.programs

SCRIPT = """\
import os, sys, time
os.umask(umask := os.umask(0))
print(os.getpid(), "dagster" in sys.modules, "" in sys.path, sys.argv[1:], os.environ["SHOWN"], os.getcwd(), flush=True)
print(oct(umask))
print(sys.stdin.read())
print("away", file=sys.stderr)
sys.exit(int(sys.argv[1])) if sys.argv[1:] else time.sleep(60)
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    script = tmp_path / "script.py"
    script.write_text(f"#!{sys.executable}\n{SCRIPT}")
    script.chmod(0o755)
    return forked(script)


def test_it_has_arguments_environment_folder_and_streams_and_ends_alike(
    stand_in: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [stand_in, "3", "a b"],
        input="given",
        env={**os.environ, "SHOWN": "ação"},
        cwd=tmp_path,
        umask=0o027,
        capture_output=True,
        text=True,
        check=False,
    )

    _, _, reported = done.stdout.partition(" ")
    assert reported == f"True False ['3', 'a b'] ação {tmp_path}\n0o27\ngiven\n"
    assert (done.stderr, done.returncode) == ("away\n", 3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_both(stand_in: Path, number: signal.Signals) -> None:
    running = subprocess.Popen(
        [stand_in],
        env={**os.environ, "SHOWN": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    program = psutil.Process(int(running.stdout.readline().split()[0]))

    running.send_signal(number)

    assert running.wait(10) == -number
    wait_until(lambda: not program.is_running(), seconds=10)
    running.stdout.close()


def test_with_variables_that_python_reads_as_it_starts_it_is_the_program_itself(stand_in: Path) -> None:
    variables = {**os.environ, "SHOWN": "", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [stand_in, "0"], env=variables, input="", capture_output=True, text=True, check=True
    )

    assert done.stdout.split()[1:4] == ["False", "False", "['0']"]
