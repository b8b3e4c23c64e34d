"""Runs on Celery survive the loss of their worker or broker."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from time import sleep
from typing import Any

import dagster as dg
import psutil
import pytest
import yaml
from celery import states
from dagster._core.launcher import WorkerStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from purchase_pipeline.launchers import celery
from purchase_pipeline.launchers.celery import WatchfulCeleryRunLauncher
from purchase_pipeline.stack.run_ownership import LAUNCHED_BY_TAG
from purchase_pipeline_tests.redis_server import RedisServer
from purchase_pipeline_tests.waiting import kill, wait_until
from purchase_pipeline_tests.waiting_job import waiting
from purchase_pipeline_tests.watched_runs import (
    a_server,
    at_socket,
    health_of,
    launched,
    polled,
    status_of,
    steps_begun,
    worker_command,
    workspace_of,
)

pytestmark = pytest.mark.programs

SCALE = Path(__file__).parent.parent / "deploy" / "scale" / "dagster.yaml"


def configuration() -> dict[str, Any]:
    """Return deploy/scale/dagster.yaml's configuration of runs, with file storage."""
    said: dict[str, Any] = yaml.safe_load(SCALE.read_text())
    said["run_launcher"]["config"]["include"] = ["purchase_pipeline_tests.waiting_job"]
    return {name: said[name] for name in ("run_launcher", "run_monitoring", "telemetry")}


class Worker:
    """A Celery worker with one process."""

    def __init__(self, name: str) -> None:
        self.process = psutil.Popen(
            worker_command(name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        """Kill the worker and its children; idempotent."""
        if self.process.is_running():
            kill([*self.process.children(recursive=True), self.process])
            self.process.wait()


@pytest.fixture
def broker(tmp_path: Path, started: ExitStack, monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    """The broker, at the configured URL."""
    server = RedisServer(tmp_path / "redis")
    started.callback(server.kill)
    server.start()
    server.wait()
    monkeypatch.setenv("PURCHASE_REDIS_URL", server.url)
    return server


@pytest.fixture
def instance(
    broker: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance with the Celery launcher and file storage."""
    assert broker
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(configuration()))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def context(
    instance: dg.DagsterInstance, tmp_path: Path, started: ExitStack
) -> Iterator[WorkspaceProcessContext]:
    """The same instance, as the daemon opens it."""
    a_server(started, "--socket", str(tmp_path / "code.sock"))
    with workspace_of(instance, at_socket(tmp_path / "code.sock")) as context:
        yield context


def a_worker(started: ExitStack, name: str) -> Worker:
    worker = Worker(name)
    started.callback(worker.kill)
    return worker


def a_run_of_a_task(instance: dg.DagsterInstance, task_id: str) -> str:
    launched_by = f"celery:{os.environ['PURCHASE_REDIS_URL'].partition('://')[2]}"
    tags = {DAGSTER_CELERY_TASK_ID_TAG: task_id, LAUNCHED_BY_TAG: launched_by}
    return instance.create_run_for_job(waiting, status=dg.DagsterRunStatus.STARTED, tags=tags).run_id


def poll_until_begun_again(context: WorkspaceProcessContext, run_id: str) -> None:
    begun = steps_begun(context.instance, run_id)

    def begun_again() -> bool:
        polled(context)
        return steps_begun(context.instance, run_id) > begun

    wait_until(begun_again, "another worker", look_seconds=1)
    assert status_of(context.instance, run_id) is dg.DagsterRunStatus.STARTED


@pytest.mark.proof
def test_a_run_survives_its_broker_and_a_killed_worker(
    context: WorkspaceProcessContext, started: ExitStack, broker: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery, "_GONE_SECONDS", 3.0)
    monkeypatch.setattr(celery, "_RECONNECT_SECONDS", 10.0)
    worker = a_worker(started, "first@here")
    run_id = launched(context)
    a_worker(started, "second@here")

    broker.kill()
    polled(context)
    broker.start()
    broker.wait()
    for _ in range(6):
        polled(context)
        sleep(1)
    assert steps_begun(context.instance, run_id) == 1

    worker.kill()
    poll_until_begun_again(context, run_id)


@pytest.mark.proof
def test_a_run_whose_process_was_killed_is_resumed(
    context: WorkspaceProcessContext, started: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery, "_GONE_SECONDS", 3.0)
    worker = a_worker(started, "only@here")
    run_id = launched(context)

    kill(worker.process.children())
    poll_until_begun_again(context, run_id)


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # Celery's
@pytest.mark.parametrize("state", [states.SUCCESS, states.FAILURE, states.STARTED])
def test_a_run_without_a_worker_has_a_grace_period(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(celery, "_GONE_SECONDS", 0.5)
    run_id = a_run_of_a_task(instance, "some-task")
    assert isinstance(instance.run_launcher, WatchfulCeleryRunLauncher)
    instance.run_launcher.celery.backend.store_result("some-task", 0, state)

    first = health_of(instance, run_id)
    sleep(0.5)

    assert (first, health_of(instance, run_id)) == (WorkerStatus.RUNNING, WorkerStatus.NOT_FOUND)


def test_a_queued_run_has_a_longer_grace_period(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery, "_GONE_SECONDS", 0.0)
    run_id = a_run_of_a_task(instance, "nobody-began-it")

    seen = [health_of(instance, run_id) for _ in range(2)]  # the first begins the period

    assert seen == [WorkerStatus.RUNNING, WorkerStatus.RUNNING]


@pytest.mark.parametrize("launched_by", [{}, {LAUNCHED_BY_TAG: "celery:their-broker:6379/0"}])
def test_a_task_of_another_launcher_is_left_alone(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, launched_by: dict[str, str]
) -> None:
    monkeypatch.setattr(celery, "_QUEUED_SECONDS", 0.0)
    tags = {DAGSTER_CELERY_TASK_ID_TAG: "theirs", **launched_by}
    run = instance.create_run_for_job(waiting, status=dg.DagsterRunStatus.STARTED, tags=tags)

    seen = [health_of(instance, run.run_id) for _ in range(2)]

    assert seen == [WorkerStatus.RUNNING, WorkerStatus.RUNNING]


def test_a_run_without_a_task_is_left_alone(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(waiting, status=dg.DagsterRunStatus.STARTED)

    assert health_of(instance, run.run_id) is WorkerStatus.RUNNING


def test_a_worker_with_another_launcher_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}")

    done = subprocess.run(
        [sys.executable, "-c", "import purchase_pipeline.launchers.celery_app"],
        env={**os.environ, "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "is DefaultRunLauncher, expected WatchfulCeleryRunLauncher" in done.stderr


def test_scale_settings_match_the_local_ones() -> None:
    local = yaml.safe_load(files("purchase_pipeline.stack").joinpath("dagster.yaml").read_text())
    scale = yaml.safe_load(SCALE.read_text())

    different = {name for name in local if local[name] != scale[name]}
    assert scale.keys() - local.keys() == {"compute_logs"}
    assert local.keys() <= scale.keys()
    assert different == {"storage", "run_launcher", "concurrency", "run_monitoring"}
    longest_run = scale["run_monitoring"]["max_runtime_seconds"]
    options = scale["run_launcher"]["config"]["config_source"]
    assert options["broker_transport_options"]["visibility_timeout"] > longest_run


def test_a_worker_logs_json_if_it_is_told_to(
    instance: dg.DagsterInstance, started: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert instance
    monkeypatch.setenv("PURCHASE_LOG_FORMAT", "json")
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")  # one of running as root comes before the first log
    log = tmp_path / "worker.log"
    with log.open("w") as written:
        worker = psutil.Popen(
            [*worker_command("json"), "--loglevel", "INFO"], stdout=subprocess.DEVNULL, stderr=written
        )
    started.callback(worker.wait)
    started.callback(worker.kill)

    wait_until(lambda: "ready" in log.read_text(), "the worker")

    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["event"] for entry in entries if entry["logger"] == "celery.apps.worker"] == [
        "celery@json ready."
    ]
