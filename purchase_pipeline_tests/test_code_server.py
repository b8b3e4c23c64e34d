"""Runs are forked from a process that has loaded the definitions."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import psutil
import pytest

from purchase_pipeline.stack.probes import code_server
from purchase_pipeline_tests.waiting import children, wait_until
from purchase_pipeline_tests.watched_runs import OURS, CodeServer, a_server, at_socket, launched, workspace_of

pytestmark = pytest.mark.proof


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance with file storage, which the code server uses too."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def fork_server(server: CodeServer) -> psutil.Process:
    """Return the process that forks the runs."""
    (found,) = (child for child, words in children(server.process) if "tracker" not in " ".join(words))
    return found


def loads(process: psutil.Process, library: str) -> bool:
    return any(library in mapped.path for mapped in process.memory_maps())


def test_a_run_is_forked_from_a_process_without_threads_and_connections(
    instance: dg.DagsterInstance, started: ExitStack, tmp_path: Path
) -> None:
    server = a_server(started, "--socket", str(tmp_path / "code.sock"), command=OURS)
    with workspace_of(instance, at_socket(tmp_path / "code.sock")) as context:
        launched(context)
        forking = fork_server(server)
        (run,) = forking.children()

        assert code_server(f"unix:{tmp_path / 'code.sock'}")
        assert forking.num_threads() == 1
        assert forking.net_connections("inet") == []
        assert all(
            loads(process, library) for process in (forking, run) for library in ("psycopg2", "libarrow.so")
        )


def test_a_killed_fork_server_is_started_again(
    instance: dg.DagsterInstance, started: ExitStack, tmp_path: Path
) -> None:
    server = a_server(started, "--socket", str(tmp_path / "code.sock"), command=OURS)
    with workspace_of(instance, at_socket(tmp_path / "code.sock")) as context:
        launched(context)
        killed = fork_server(server)
        (orphan,) = killed.children()
        started.callback(orphan.kill)
        killed.kill()
        wait_until(lambda: not killed.is_running() or killed.status() == psutil.STATUS_ZOMBIE)

        launched(context)

        assert fork_server(server).pid != killed.pid


def test_its_help_is_that_of_dagsters_command() -> None:
    shown = subprocess.run([*OURS, "--help"], capture_output=True, text=True, timeout=60, check=True).stdout

    assert "--location-name" in shown
