"""Runs wait in the queue while a pool is full."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from purchase_pipeline.definitions import defs
from purchase_pipeline.purchases import DATABASE_POOL, purchases
from purchase_pipeline.settings import current_settings
from purchase_pipeline_tests.documents import PROJECT
from purchase_pipeline_tests.redis_server import RedisServer
from purchase_pipeline_tests.watched_runs import a_server, at_socket, workspace_of

LOTS = ["lote-0001", "lote-0002", "lote-0003"]


def pools_of(job_name: str) -> dict[str, str | None]:
    return {node.name: node.definition.pool for node in defs().resolve_job_def(job_name).nodes}  # type: ignore[attr-defined]


def test_every_step_has_a_pool() -> None:
    load = pools_of("ingest_lote")

    assert load["raw_purchases"] == purchases(current_settings()).api_pool == "purchase_api"
    assert load["validated_purchases"] == DATABASE_POOL == "purchase_database"
    steps = [
        asset for asset in defs().resolve_asset_graph().assets_defs if asset.is_executable and asset.keys
    ]
    assert {step.op.pool for step in steps} == {"purchase_api", DATABASE_POOL}


def queue(context: WorkspaceProcessContext) -> None:
    """Request a run for each batch, as the sensor does."""
    workspace = context.create_request_context()
    location = workspace.get_code_location("here")
    (repository,) = location.get_repositories().values()
    job = repository.get_full_job("ingest_lote")
    for lote in LOTS:
        run = context.instance.create_run_for_job(
            defs().resolve_job_def("ingest_lote"),
            status=dg.DagsterRunStatus.NOT_STARTED,
            tags={"dagster/partition": lote},
            remote_job_origin=job.get_remote_origin(),
            job_code_origin=job.get_python_origin(),
        )
        context.instance.submit_run(run.run_id, workspace)


def test_a_pool_limits_running_runs(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as started:
        broker = RedisServer(tmp_path / "redis")
        started.callback(broker.kill)
        broker.start()
        broker.wait()
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
        monkeypatch.setenv("PURCHASE_REDIS_URL", broker.url)
        monkeypatch.setenv(
            "DAGSTER_POSTGRES_URL", database_url.replace("postgresql", "postgresql+psycopg2", 1)
        )
        (tmp_path / "dagster.yaml").write_text((PROJECT / "deploy" / "scale" / "dagster.yaml").read_text())
        a_server(started, "--socket", str(tmp_path / "code.sock"), module="purchase_pipeline.definitions")
        with (
            dg.DagsterInstance.from_config(str(tmp_path)) as instance,
            workspace_of(instance, at_socket(tmp_path / "code.sock")) as context,
        ):
            instance.event_log_storage.set_concurrency_slots("purchase_api", 2)
            queue(context)

            list(QueuedRunCoordinatorDaemon(interval_seconds=1).run_iteration(context))

            found = Counter(run.status for run in instance.get_runs())
            assert found == {dg.DagsterRunStatus.STARTING: 2, dg.DagsterRunStatus.QUEUED: 1}
