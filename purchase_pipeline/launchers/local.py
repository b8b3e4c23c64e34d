"""The local run launcher: Dagster's default one, extended with health checks of run workers.

Dagster's has none. If worker and code server both die, or the worker dies while PostgreSQL is unavailable (the code
server's monitoring thread ends when it cannot report), the run stays STARTED until its maximum runtime.
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

_RESPONSE_SECONDS = 5
# The code server reports a dead worker itself within a second, and gets the time to do so.
_GONE_SECONDS = 3.0
# A restarted code server responds sooner (it loads the definitions in 5 to 10 s), without the old runs.
_UNRESPONSIVE_SECONDS = 20.0


class WatchfulRunLauncher(DefaultRunLauncher):
    """Launches runs through the code server, and detects lost workers."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._grace_periods = GracePeriods()

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True, which enables run monitoring."""
        return True

    def launch_run(self, context: LaunchRunContext) -> None:
        """Launch a run, and tag it with this launcher."""
        self._instance.add_run_tags(context.dagster_run.run_id, {LAUNCHED_BY_TAG: this_launcher()})
        super().launch_run(context)

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Check the worker of a started run."""
        return self._grace_periods.check(run.run_id, self._missing_worker(run))

    def _missing_worker(self, run: dg.DagsterRun) -> MissingWorker | None:
        """Look for the worker's process on this machine, or ask its code server.

        Runs without our tag are not checked: they have no code server (`ingest`, `dagster job execute`) or another
        launcher, and their process may be anywhere.
        """
        server = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
        if LAUNCHED_BY_TAG not in run.tags:
            return None
        if "socket" in server:
            alive = not is_from_this_machine(run) or has_living_worker(self._instance, run)
            return None if alive else MissingWorker("Its process has ended.", _GONE_SECONDS)
        if "port" not in server:
            return None
        try:
            found = _has_run(server, run.run_id)
        except dg.DagsterError as error:
            return MissingWorker(f"Its code server does not respond: {error}", _UNRESPONSIVE_SECONDS)
        return None if found else MissingWorker("Its code server no longer has it.", _GONE_SECONDS)


def _has_run(server: Mapping[str, Any], run_id: str) -> bool:
    """Ask a code server whether it has a run, by a call that `dagster code-server` forwards.

    Raises:
        dagster.DagsterError: it does not respond.
    """
    client = DagsterGrpcClient(port=server["port"], host=server["host"], use_ssl=server.get("use_ssl", False))
    response = client.can_cancel_execution(
        CanCancelExecutionRequest(run_id=run_id), timeout=_RESPONSE_SECONDS
    )
    return deserialize_value(response, CanCancelExecutionResult).can_cancel
