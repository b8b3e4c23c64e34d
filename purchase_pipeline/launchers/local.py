"""The run launcher: Dagster's own, which can also tell whether a run's worker process still lives.

Dagster's own cannot. A run whose worker and code server both died, or whose worker died while PostgreSQL was away (the
code server's watching thread ends when it cannot report), stays STARTED there until its longest runtime is over.
"""

import json
from collections.abc import Mapping
from typing import Any

import dagster as dg

from purchase_pipeline.launchers.health import GracePeriods, MissingWorker
from purchase_pipeline.stack.dagster_internals import (
    GRPC_INFO_TAG,
    CanCancelExecutionRequest,
    CanCancelExecutionResult,
    CheckRunHealthResult,
    ConfigurableClassData,
    DagsterGrpcClient,
    DefaultRunLauncher,
    LaunchRunContext,
    deserialize_value,
)
from purchase_pipeline.stack.run_ownership import (
    LAUNCHED_BY_TAG,
    has_living_worker,
    is_from_this_machine,
    this_launcher,
)

_ANSWER_SECONDS = 5
# A code server that sees its worker die reports that itself, within a second: it may, before the monitoring does.
_GONE_SECONDS = 3.0
# One that is started again answers sooner (it loads the definitions in 5 to 10 s), and then has none of the old runs.
_SILENT_SECONDS = 20.0


class WatchfulRunLauncher(DefaultRunLauncher):
    """Launches runs by the code server, and finds those whose worker is gone."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._doubts = GracePeriods()

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes: run monitoring asks."""
        return True

    def launch_run(self, context: LaunchRunContext) -> None:
        """Launch a run, and note in it by whom."""
        self._instance.add_run_tags(context.dagster_run.run_id, {LAUNCHED_BY_TAG: this_launcher()})
        super().launch_run(context)

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Tell whether a started run's worker lives."""
        return self._doubts.answer(run.run_id, self._doubt_about(run))

    def _doubt_about(self, run: dg.DagsterRun) -> MissingWorker | None:
        """Look for the worker's process where that is on this machine; else ask its code server.

        A run without our tag is not doubted: no code server launched it (`ingest`, `dagster job execute`), or somebody
        else's did. Its process may be anywhere, and ends such a run itself unless it is killed.
        """
        server = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
        if LAUNCHED_BY_TAG not in run.tags:
            return None
        if "socket" in server:
            lives = not is_from_this_machine(run) or has_living_worker(self._instance, run)
            return None if lives else MissingWorker("Its process is gone.", _GONE_SECONDS)
        if "port" not in server:
            return None
        try:
            found = _has_run(server, run.run_id)
        except dg.DagsterError as error:
            return MissingWorker(f"Its code server is silent: {error}", _SILENT_SECONDS)
        return None if found else MissingWorker("Its code server does not have it any more.", _GONE_SECONDS)


def _has_run(server: Mapping[str, Any], run_id: str) -> bool:
    """Ask a code server whether it has a run: one of those questions that `dagster code-server` passes on.

    Raises:
        dagster.DagsterError: it does not answer.
    """
    client = DagsterGrpcClient(port=server["port"], host=server["host"], use_ssl=server.get("use_ssl", False))
    answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id), timeout=_ANSWER_SECONDS)
    return deserialize_value(answer, CanCancelExecutionResult).can_cancel
