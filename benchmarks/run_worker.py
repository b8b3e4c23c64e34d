"""What a run costs beside its data: the processor time of the process of one lot, and of one that does nothing."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import psutil
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._grpc.client import DagsterGrpcClient

from benchmarks.bench import a_dagster
from benchmarks.figures import Figure, Measured, Ratio
from purchase_pipeline.stack.processes import end
from purchase_pipeline.stack.services import pings
from purchase_pipeline_tests.waiting import wait_for

_WAIT_SECONDS = 120.0


def run(rounds: int) -> Measured:
    """Run an empty job and the job of one lot in turns, each run in a process of its own, as the daemon has it."""
    with TemporaryDirectory(prefix="bench-") as folder, a_dagster(Path(folder), lots=rounds + 1) as instance:
        # Read now: the definitions read the environment, which the stack has set.
        from benchmarks.empty_run import defs as empty_defs  # noqa: PLC0415
        from purchase_pipeline.definitions import defs  # noqa: PLC0415

        with (
            _workers(
                "benchmarks.empty_run", Path(folder, "empty.sock"), empty_defs.resolve_job_def("empty")
            ) as empty,
            _workers(
                "purchase_pipeline.definitions",
                Path(folder, "lots.sock"),
                defs().resolve_job_def("ingest_lote"),
            ) as lots,
        ):
            empty.cpu_seconds(instance)  # the first of each compiles what it imports
            lots.cpu_seconds(instance, f"lote-{rounds + 1:04}")
            pairs = [
                (empty.cpu_seconds(instance), lots.cpu_seconds(instance, f"lote-{number:04}"))
                for number in range(1, rounds + 1)
            ]
    nothing = Figure("run of two empty assets", "s of processor", [pair[0] for pair in pairs])
    lot = Figure("run of one lot of 10,000 rows", "s of processor", [pair[1] for pair in pairs])
    return Measured(
        "run_worker",
        [nothing, lot],
        [Ratio("one lot / nothing", lot, nothing, at_most=1.3)],
        ["Both runs are launched by the same launcher, log to the same storage, and start Python anew."],
    )


class _Workers:
    """The processes of one job's runs, children of its code server."""

    def __init__(self, server: psutil.Process, target: GrpcServerTarget, job: dg.JobDefinition) -> None:
        self._server = server
        self._target = target
        self._job = job

    def cpu_seconds(self, instance: dg.DagsterInstance, partition: str = "") -> float:
        """Run the job, and return the processor time of its process from start to end.

        Raises:
            RuntimeError: the run did not succeed.
        """
        before = self._seconds()
        with WorkspaceProcessContext(instance, self._target) as context:
            workspace = context.create_request_context()
            (location,) = workspace.code_locations
            (repository,) = location.get_repositories().values()
            remote = repository.get_full_job(self._job.name)
            run = instance.create_run_for_job(
                self._job,
                remote_job_origin=remote.get_remote_origin(),
                job_code_origin=remote.get_python_origin(),
                tags={PARTITION_NAME_TAG: partition} if partition else {},
            )
            instance.launch_run(run.run_id, workspace)
            wait_for(lambda: self._seconds() > before, "the end of a run", _WAIT_SECONDS)
        ended = instance.get_run_by_id(run.run_id)
        if ended is None or not ended.is_success:
            raise RuntimeError(f"The run of {self._job.name} did not succeed: {ended}")
        return self._seconds() - before

    def _seconds(self) -> float:
        """Processor time of those that have ended, which the server waits for."""
        times = self._server.cpu_times()
        return float(times.children_user + times.children_system)


@contextmanager
def _workers(module: str, socket: Path, job: dg.JobDefinition) -> Iterator[_Workers]:
    dagster = str(Path(sys.executable).with_name("dagster"))
    server = psutil.Popen(
        [dagster, "api", "grpc", "-m", module, "--location-name", module, "--socket", str(socket)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        client = DagsterGrpcClient(socket=str(socket))
        wait_for(lambda: pings(client), "the code server", _WAIT_SECONDS)
        target = GrpcServerTarget(host="localhost", port=None, socket=str(socket), location_name=module)
        yield _Workers(server, target, job)
    finally:
        end([server], 10.0)
