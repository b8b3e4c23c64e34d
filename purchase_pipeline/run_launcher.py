"""The run launcher: Dagster's own, which can also tell whether a run's worker process still lives.

Dagster's own cannot. A run whose worker and code server both died, or whose worker died while PostgreSQL was away (the
code server's watching thread ends when it cannot report), stays STARTED there until its longest runtime is over.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import dagster as dg
import psutil
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import ConfigurableClassData, deserialize_value

from purchase_pipeline.run_doubts import Doubt, RunDoubts

_ANSWER_SECONDS = 5
# A code server that sees its worker die reports that itself, within a second: it may, before the monitoring does.
_GONE_SECONDS = 3.0
# One that is started again answers sooner (it loads the definitions in 5 to 10 s), and then has none of the old runs.
_SILENT_SECONDS = 20.0


class WatchfulRunLauncher(DefaultRunLauncher):
    """Launches runs by the code server, and finds those whose worker is gone."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._doubts = RunDoubts()

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes: run monitoring asks."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Tell whether a started run's worker lives."""
        return self._doubts.answer(run.run_id, self._doubt_about(run))

    def _doubt_about(self, run: dg.DagsterRun) -> Doubt | None:
        """Look for the worker's process where that is on this machine; else ask its code server.

        A run that no code server launched (`ingest`, `dagster job execute`) is not doubted: its process may be
        anywhere, and ends such a run itself unless it is killed.
        """
        server = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
        if "socket" in server:
            return (
                None if _lives_here(self._worker_pid(run)) else Doubt("Its process is gone.", _GONE_SECONDS)
            )
        if "port" not in server:
            return None
        try:
            found = _has_run(server, run.run_id)
        except dg.DagsterError as error:
            return Doubt(f"Its code server is silent: {error}", _SILENT_SECONDS)
        return None if found else Doubt("Its code server does not have it any more.", _GONE_SECONDS)

    def _worker_pid(self, run: dg.DagsterRun) -> int | None:
        """Return the worker's process id, which it wrote as the first event of the run."""
        for record in self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            event = record.dagster_event
            if event and "pid" in event.engine_event_data.metadata:
                return int(str(event.engine_event_data.metadata["pid"].value))
        return None


def _lives_here(pid: int | None) -> bool:
    """Tell whether a process runs and is of this Dagster: its number may have gone to a stranger."""
    if pid is None:
        return False
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            return process.environ().get("DAGSTER_HOME") == os.environ.get("DAGSTER_HOME")
    return False


def _has_run(server: Mapping[str, Any], run_id: str) -> bool:
    """Ask a code server whether it has a run: one of those questions that `dagster code-server` passes on.

    Raises:
        dagster.DagsterError: it does not answer.
    """
    client = DagsterGrpcClient(port=server["port"], host=server["host"], use_ssl=server.get("use_ssl", False))
    answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id), timeout=_ANSWER_SECONDS)
    return deserialize_value(answer, CanCancelExecutionResult).can_cancel
