"""Runs of a job that waits, launched by a code server and looked after as Dagster's daemon does."""

import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import psutil
from dagster._core.launcher import WorkerStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._grpc.client import DagsterGrpcClient

from purchase_pipeline.stack.services import pings
from purchase_pipeline_tests.waiting import children, kill, wait_until
from purchase_pipeline_tests.waiting_job import waiting

_JOB = "purchase_pipeline_tests.waiting_job"
_DAGSTER = str(Path(sys.executable).with_name("dagster"))
DAGSTERS = (_DAGSTER, "api", "grpc")
PROXY = (_DAGSTER, "code-server", "start")
OURS = (sys.executable, "-m", "purchase_pipeline.stack.code_server")


class CodeServer:
    """Dagster's code server, of one tiny job unless another module is named, at a socket or at a port."""

    def __init__(self, *address: str, command: Sequence[str] = DAGSTERS, module: str = _JOB) -> None:
        definitions = ["-m", module, "--location-name", "here"]
        self.process = psutil.Popen(
            [*command, *definitions, *address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def worker(self) -> psutil.Process:
        """Return the process of the one run."""
        (worker,) = [
            child
            for child, words in children(self.process, recursive=True)
            if "spawn_main" in " ".join(words)
        ]
        return worker

    def kill(self) -> None:
        """End the server and all below it, at once; the second time, nothing."""
        if self.process.is_running():
            kill([*self.process.children(recursive=True), self.process])
            self.process.wait()


def a_server(
    started: ExitStack, *address: str, command: Sequence[str] = DAGSTERS, module: str = _JOB
) -> CodeServer:
    """Start a server, to be ended with the rest."""
    server = CodeServer(*address, command=command, module=module)
    started.callback(server.kill)
    return server


def worker_command(name: str) -> list[str]:
    """Return the command of a Celery worker that does one run at a time, and calls itself so (`name@host`)."""
    celery = str(Path(sys.executable).with_name("celery"))
    return [
        *(celery, "--app", "purchase_pipeline.launchers.celery_app", "worker"),
        *("--concurrency", "1", "--hostname", name),
    ]


@contextmanager
def workspace_of(instance: dg.DagsterInstance, target: GrpcServerTarget) -> Iterator[WorkspaceProcessContext]:
    """Have Dagster as its daemon sees it, with one code server that answers."""
    client = DagsterGrpcClient(port=target.port, socket=target.socket, host=target.host)
    wait_until(lambda: pings(client))
    with WorkspaceProcessContext(instance, target) as context:
        yield context


def at_socket(path: Path) -> GrpcServerTarget:
    """Say where a server is: at a socket."""
    return GrpcServerTarget(host="localhost", port=None, socket=str(path), location_name="here")


def at_port(port: int) -> GrpcServerTarget:
    """Say where a server is: at a port."""
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
    wait_until(lambda: steps_begun(instance, run.run_id) == 1)
    return run.run_id


def steps_begun(instance: dg.DagsterInstance, run_id: str) -> int:
    """Count how often the one step was begun."""
    return len(instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_START))


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    """Return a run's status."""
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def health_of(instance: dg.DagsterInstance, run_id: str) -> WorkerStatus:
    """Return what the launcher says of a run's worker."""
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return instance.run_launcher.check_run_worker_health(run).status


def polled(context: WorkspaceProcessContext) -> None:
    """Look after the runs once, as Dagster's daemon does every few seconds."""
    errors = list(execute_run_monitoring_iteration(context, logging.getLogger("monitoring")))
    assert not any(errors)
