"""Runs of the ingest job, launched as the web page does: by Dagster's GraphQL, into the stack's own queue."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.tags import PARTITION_NAME_TAG, ROOT_RUN_ID_TAG
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget

from purchase_pipeline.stack.storage_claim import CODE_LOCATION
from purchase_pipeline_tests.live_stack import LiveStack


class Launcher:
    """Launches runs in one stack's Dagster, and reports their outcome."""

    def __init__(self, instance: dg.DagsterInstance, workspace: WorkspaceProcessContext) -> None:
        self._instance = instance
        self._workspace = workspace

    def fetch_again(self, lote: str, job: str = "ingest_lote", raw_asset: str = "raw_purchases") -> str:
        """Launch a run that fetches a lot again from the API, and return the run's id."""
        # Not for a list of the drills, nor to collect their tests: it takes half as long as Dagster itself.
        from dagster_graphql.cli import execute_query  # noqa: PLC0415
        from dagster_graphql.client.query import LAUNCH_PIPELINE_EXECUTION_MUTATION  # noqa: PLC0415

        parameters = {
            "selector": {
                "repositoryLocationName": CODE_LOCATION,
                "repositoryName": "__repository__",
                "jobName": job,
            },
            "runConfigData": {"ops": {raw_asset: {"config": {"refetch": True}}}},
            "executionMetadata": {"tags": [{"key": PARTITION_NAME_TAG, "value": lote}]},
        }
        response: Any = execute_query(
            self._workspace, LAUNCH_PIPELINE_EXECUTION_MUTATION, {"executionParams": parameters}
        )
        try:
            return str(response["data"]["launchPipelineExecution"]["run"]["runId"])
        except (KeyError, TypeError) as error:
            raise RuntimeError(f"Dagster did not launch {lote}: {response}") from error

    def has_succeeded(self, run_id: str) -> bool:
        """Return whether a run, or a retry of it, has come to its end."""
        retries = self._instance.get_runs(dg.RunsFilter(tags={ROOT_RUN_ID_TAG: run_id}))
        first = self._instance.get_run_by_id(run_id)
        return any(run.is_success for run in [*retries, *([first] if first else [])])

    def history(self, lote: str) -> str:
        """Return, for a message, the states of a lot's last runs, and the events of the newest."""
        runs = self._instance.get_runs(dg.RunsFilter(tags={PARTITION_NAME_TAG: lote}), limit=3)
        lines = [f"{run.run_id[:8]} {run.status.value}" for run in runs]
        for run in runs[:1]:
            lines.append(str(dict(run.tags)))
            for record in self._instance.all_logs(run.run_id):
                moment = datetime.fromtimestamp(record.timestamp, UTC)
                lines.append(f"{moment:%H:%M:%S} {record.user_message or record.message}")
        return "\n    ".join(lines)


@contextmanager
def launcher_of(stack: LiveStack) -> Iterator[Launcher]:
    """Open a stack's Dagster, its storage reached past any proxy."""
    home = stack.home / "dagster"
    storage = stack.server.url("dagster").replace("postgresql://", "postgresql+psycopg2://")
    overrides = {"storage": {"postgres": {"postgres_url": storage}}}
    with (
        dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=overrides)) as instance,
        WorkspaceProcessContext(instance, WorkspaceFileTarget([str(home / "workspace.yaml")])) as workspace,
    ):
        yield Launcher(instance, workspace)
