"""The local launcher detects runs without a worker, and leaves running ones alone."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import sleep

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient

from purchase_pipeline.launchers import local
from purchase_pipeline.stack.run_ownership import LAUNCHED_BY_TAG, this_launcher
from purchase_pipeline.stack.services import pings
from purchase_pipeline_tests.serving import free_port
from purchase_pipeline_tests.waiting import wait_until
from purchase_pipeline_tests.waiting_job import waiting
from purchase_pipeline_tests.watched_runs import (
    PROXY,
    a_server,
    at_port,
    at_socket,
    health_of,
    launched,
    polled,
    status_of,
    workspace_of,
)

CONFIGURATION = """
run_launcher: {module: purchase_pipeline.launchers.local, class: WatchfulRunLauncher}
run_monitoring: {enabled: true}
telemetry: {enabled: false}
"""
GONE = "Detected run worker status NOT_FOUND"


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance with the local launcher and file storage."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(CONFIGURATION)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@pytest.mark.proof
def test_a_run_without_worker_and_server_fails_within_seconds(
    instance: dg.DagsterInstance, tmp_path: Path, started: ExitStack
) -> None:
    server = a_server(started, "--socket", str(tmp_path / "code.sock"))
    with workspace_of(instance, at_socket(tmp_path / "code.sock")) as context:
        run_id = launched(context)
        polled(context)
        assert status_of(instance, run_id) is dg.DagsterRunStatus.STARTED

        server.kill()
        polled(context)
        assert status_of(instance, run_id) is dg.DagsterRunStatus.STARTED
        sleep(3)
        polled(context)

    assert status_of(instance, run_id) is dg.DagsterRunStatus.FAILURE
    failures = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert [
        GONE in ((record.dagster_event and record.dagster_event.message) or "") for record in failures
    ] == [True]


@pytest.mark.proof
def test_a_run_that_outlives_its_server_is_left_alone(
    instance: dg.DagsterInstance, tmp_path: Path, started: ExitStack
) -> None:
    server = a_server(started, "--socket", str(tmp_path / "code.sock"))
    with workspace_of(instance, at_socket(tmp_path / "code.sock")) as context:
        run_id = launched(context)
        worker = server.worker()
        started.callback(worker.kill)
        server.process.kill()
        server.process.wait()

        seen = [health_of(instance, run_id)]
        sleep(3)
        seen.append(health_of(instance, run_id))

    assert seen == [WorkerStatus.RUNNING, WorkerStatus.RUNNING]


@pytest.mark.proof
def test_a_remote_code_server_is_asked_through_its_proxy(
    instance: dg.DagsterInstance, started: ExitStack
) -> None:
    port = free_port()
    address = ("-h", "127.0.0.1", "-p", str(port))
    proxy = a_server(started, *address, command=PROXY)
    with workspace_of(instance, at_port(port)) as context:
        run_id = launched(context)
        assert health_of(instance, run_id) is WorkerStatus.RUNNING

        proxy.kill()
        silent = health_of(instance, run_id)
        a_server(started, *address)
        wait_until(lambda: pings(DagsterGrpcClient(port=port, host="127.0.0.1")))
        sleep(3)
        replaced = health_of(instance, run_id)

    assert (silent, replaced) == (WorkerStatus.RUNNING, WorkerStatus.NOT_FOUND)


def test_a_run_without_a_code_server_is_left_alone(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(waiting, status=dg.DagsterRunStatus.STARTED)

    assert health_of(instance, run.run_id) is WorkerStatus.RUNNING


@pytest.mark.parametrize(
    ("server", "launched_by"),
    [
        ({"socket": "theirs.sock"}, {}),
        ({"socket": "theirs.sock"}, {LAUNCHED_BY_TAG: "elsewhere:/opt/dagster"}),
        ({"host": "127.0.0.1", "port": 9}, {}),
    ],
)
def test_a_run_of_another_launcher_is_left_alone(
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    server: dict[str, object],
    launched_by: dict[str, str],
) -> None:
    monkeypatch.setattr(local, "_GONE_SECONDS", 0.0)
    monkeypatch.setattr(local, "_UNRESPONSIVE_SECONDS", 0.0)
    tags = {GRPC_INFO_TAG: json.dumps(server), **launched_by}
    run = instance.create_run_for_job(waiting, status=dg.DagsterRunStatus.STARTED, tags=tags)

    seen = [health_of(instance, run.run_id) for _ in range(2)]

    assert seen == [WorkerStatus.RUNNING, WorkerStatus.RUNNING]


def test_a_run_without_a_process_is_lost(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_GONE_SECONDS", 0.0)
    tags = {GRPC_INFO_TAG: json.dumps({"socket": "ours.sock"}), LAUNCHED_BY_TAG: this_launcher()}
    run = instance.create_run_for_job(waiting, status=dg.DagsterRunStatus.STARTED, tags=tags)

    seen = [health_of(instance, run.run_id) for _ in range(2)]

    assert seen[-1] is WorkerStatus.NOT_FOUND
