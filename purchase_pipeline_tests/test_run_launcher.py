"""A run whose worker is gone is found, whatever died with it; a run that may live is left alone."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

import dagster as dg
import psutil
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._grpc.client import DagsterGrpcClient

from purchase_pipeline.local_stack import pings
from purchase_pipeline_tests.serving import free_port
from purchase_pipeline_tests.waiting_job import waiting

CONFIGURATION = """
run_launcher: {module: purchase_pipeline.run_launcher, class: WatchfulRunLauncher}
run_monitoring: {enabled: true}
telemetry: {enabled: false}
"""
GONE = "Detected run worker status NOT_FOUND"


class CodeServer:
    """Dagster's code server of one tiny job, at a socket or at a port."""

    def __init__(self, *address: str, command: tuple[str, ...] = ("api", "grpc")) -> None:
        dagster = str(Path(sys.executable).with_name("dagster"))
        definitions = ["-m", "purchase_pipeline_tests.waiting_job", "--location-name", "here"]
        self.process = psutil.Popen(
            [dagster, *command, *definitions, *address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def worker(self) -> psutil.Process:
        """Return the process of the one run."""
        (worker,) = [
            child
            for child in self.process.children(recursive=True)
            if "spawn_main" in " ".join(child.cmdline())
        ]
        return worker

    def kill(self) -> None:
        """End the server and all below it, at once; the second time, nothing."""
        if self.process.is_running():
            for process in (*self.process.children(recursive=True), self.process):
                process.kill()
            self.process.wait()


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Dagster with our launcher, its storage in files."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(CONFIGURATION)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def started() -> Iterator[ExitStack]:
    """What a test starts, and what ends it."""
    with ExitStack() as stack:
        yield stack


def a_server(started: ExitStack, *address: str, command: tuple[str, ...] = ("api", "grpc")) -> CodeServer:
    server = CodeServer(*address, command=command)
    started.callback(server.kill)
    return server


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + 60
    while not condition():
        assert monotonic() < deadline, "waited in vain"
        sleep(0.1)


@contextmanager
def workspace_of(instance: dg.DagsterInstance, target: GrpcServerTarget) -> Iterator[WorkspaceProcessContext]:
    client = DagsterGrpcClient(port=target.port, socket=target.socket, host=target.host)
    wait_until(lambda: pings(client))
    with WorkspaceProcessContext(instance, target) as context:
        yield context


def at_socket(path: Path) -> GrpcServerTarget:
    return GrpcServerTarget(host="localhost", port=None, socket=str(path), location_name="here")


def at_port(port: int) -> GrpcServerTarget:
    return GrpcServerTarget(host="127.0.0.1", port=port, socket=None, location_name="here")


def launched(context: WorkspaceProcessContext) -> str:
    """Launch a run, and return its id once it is under way."""
    workspace, instance = context.create_request_context(), context.instance
    (repository,) = workspace.get_code_location("here").get_repositories().values()
    job = repository.get_full_job("waiting")
    run = instance.create_run_for_job(
        waiting, remote_job_origin=job.get_remote_origin(), job_code_origin=job.get_python_origin()
    )
    instance.launch_run(run.run_id, workspace)
    wait_until(lambda: status_of(instance, run.run_id) is dg.DagsterRunStatus.STARTED)
    return run.run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def health_of(instance: dg.DagsterInstance, run_id: str) -> WorkerStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return instance.run_launcher.check_run_worker_health(run).status


def polled(context: WorkspaceProcessContext) -> None:
    """Look after the runs once, as Dagster's daemon does every few seconds."""
    errors = list(execute_run_monitoring_iteration(context, logging.getLogger("monitoring")))
    assert not any(errors)


@pytest.mark.proof
def test_a_run_that_lost_its_worker_and_its_server_is_failed_within_seconds_and_a_living_one_is_not(
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
def test_a_run_that_outlives_its_server_on_this_machine_is_left_to_end(
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
def test_a_server_elsewhere_is_asked_through_its_proxy_and_its_successor_does_not_know_the_run(
    instance: dg.DagsterInstance, started: ExitStack
) -> None:
    port = free_port()
    address = ("-h", "127.0.0.1", "-p", str(port))
    proxy = a_server(started, *address, command=("code-server", "start"))
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


def test_a_run_that_no_server_launched_is_left_alone(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(waiting, status=dg.DagsterRunStatus.STARTED)

    assert health_of(instance, run.run_id) is WorkerStatus.RUNNING
