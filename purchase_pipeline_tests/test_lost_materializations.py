"""The sensor reports materializations again that Dagster's catalog lost."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from mock_api.app import create_app
from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.feeds.lost_materializations import restore_catalog
from purchase_pipeline.feeds.sensors import missing_partitions
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.purchases import PURCHASES, purchases
from purchase_pipeline.settings import current_settings
from purchase_pipeline_tests.pipelines import a_pipeline, ingest
from purchase_pipeline_tests.serving import served

LOTS = ["lote-0001", "lote-0002"]
ASSETS = ("compras_rejeitadas", "raw_purchases", "tabela_compras")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance for a test."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def runs(
    instance: dg.DagsterInstance, database_url: str, tmp_path: Path
) -> Iterator[list[dg.ExecuteInProcessResult]]:
    """The runs of two loaded batches with rejected rows."""
    with served(create_app(defects=0.02)) as url:
        pipeline = a_pipeline(url, tmp_path, database_url)
        yield [ingest(pipeline, lote, instance=instance) for lote in LOTS]


def tick(instance: dg.DagsterInstance, engine: sa.Engine, cursor: str | None = None) -> dg.SensorResult:
    """Evaluate the sensor, and report what it returns, as the daemon does."""
    resources = {"purchases_ledger": Ledger(engine, PURCHASES)}
    with dg.build_sensor_context(instance, cursor, resources=resources) as context:
        result = missing_partitions(purchases(current_settings()))(context)
    assert isinstance(result, dg.SensorResult)
    for event in result.asset_events:
        instance.report_runless_asset_event(event)
    return result


def catalog(instance: dg.DagsterInstance) -> dict[str, list[str]]:
    """Return the materialized batches of each asset."""
    return {name: sorted(instance.get_materialized_partitions(dg.AssetKey(name))) for name in ASSETS}


def test_a_complete_catalog_is_unchanged(
    instance: dg.DagsterInstance, engine: sa.Engine, runs: list[dg.ExecuteInProcessResult]
) -> None:
    assert all(run.success for run in runs)
    assert not tick(instance, engine).asset_events


def test_wiped_materializations_are_reported_again_by_a_tick(
    instance: dg.DagsterInstance, engine: sa.Engine, runs: list[dg.ExecuteInProcessResult]
) -> None:
    instance.wipe_assets([dg.AssetKey(name) for name in ASSETS])
    assert catalog(instance) == {key: [] for key in ASSETS}

    result = tick(instance, engine)

    assert catalog(instance) == dict.fromkeys(ASSETS, LOTS)
    assert [request.partition_key for request in result.run_requests or []] == ["lote-0003"]
    assert runs


def test_restored_materializations_match_the_ledger(
    instance: dg.DagsterInstance, engine: sa.Engine, runs: list[dg.ExecuteInProcessResult]
) -> None:
    lot = Ledger(engine, PURCHASES).loaded()["lote-0001"]
    instance.wipe_assets([dg.AssetKey(name) for name in ASSETS])

    events = [event for event in tick(instance, engine).asset_events if event.partition == "lote-0001"]

    assert isinstance(events[0], dg.AssetMaterialization)
    rows = {
        event.asset_key.to_user_string(): event.metadata["dagster/partition_row_count"].value
        for event in events
        if isinstance(event, dg.AssetMaterialization)
    }
    assert rows == {"raw_purchases": 200, "tabela_compras": 196, "compras_rejeitadas": 4}
    totals = {
        event.asset_key.to_user_string(): event.metadata["dagster/row_count"].value
        for event in events
        if "dagster/row_count" in event.metadata
    }
    assert totals == {"tabela_compras": 392, "compras_rejeitadas": 8}
    raw = instance.get_latest_materialization_event(dg.AssetKey("raw_purchases"))
    assert raw is not None
    assert raw.asset_materialization is not None
    assert (raw.asset_materialization.tags or {})["dagster/data_version"].startswith("sha256:")
    assert events[0].metadata["loaded_by"].value == lot.run_id == runs[0].run_id


def test_a_wiped_catalog_is_restored_without_a_sensor(
    instance: dg.DagsterInstance, engine: sa.Engine, runs: list[dg.ExecuteInProcessResult]
) -> None:
    instance.wipe_assets([dg.AssetKey(name) for name in ASSETS])

    backlog = Backlog(purchases(current_settings()), Ledger(engine, PURCHASES), instance)

    assert [restore_catalog(backlog, instance) for _ in range(2)] == [len(ASSETS) * len(LOTS), 0]
    assert catalog(instance) == dict.fromkeys(ASSETS, LOTS)
    assert runs


def test_materializations_of_a_deleted_run_are_restored(
    instance: dg.DagsterInstance, engine: sa.Engine, runs: list[dg.ExecuteInProcessResult]
) -> None:
    instance.delete_run(runs[0].run_id)
    assert catalog(instance) == {key: ["lote-0002"] for key in ASSETS}

    tick(instance, engine)

    assert catalog(instance) == dict.fromkeys(ASSETS, LOTS)


def test_one_wiped_asset_alone_is_reported(
    instance: dg.DagsterInstance, engine: sa.Engine, runs: list[dg.ExecuteInProcessResult]
) -> None:
    instance.wipe_assets([dg.AssetKey("compras_rejeitadas")])

    events = tick(instance, engine).asset_events

    assert [event.asset_key.to_user_string() for event in events] == ["compras_rejeitadas"] * 2
    assert runs


def test_a_batch_that_is_wiped_from_catalog_and_tables_is_requested_and_not_reported(
    instance: dg.DagsterInstance, engine: sa.Engine, runs: list[dg.ExecuteInProcessResult]
) -> None:
    instance.wipe_assets([dg.AssetKey(name) for name in ASSETS])
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM slice_ledger WHERE partition = 'lote-0001'"))

    result = tick(instance, engine)

    assert [request.partition_key for request in result.run_requests or []] == ["lote-0001"]
    assert catalog(instance) == {key: ["lote-0002"] for key in ASSETS}
    assert runs


def test_a_batch_in_progress_is_not_reported(
    instance: dg.DagsterInstance, engine: sa.Engine, runs: list[dg.ExecuteInProcessResult]
) -> None:
    instance.delete_run(runs[0].run_id)
    instance.create_run_for_job(
        runs[0].job_def, tags={"dagster/partition": "lote-0001"}, status=dg.DagsterRunStatus.STARTED
    )

    assert not tick(instance, engine).asset_events


@pytest.mark.parametrize(("ahead", "looks"), [(-1, True), (0, True), (10, False), (20, False), (3600, True)])
def test_the_catalog_is_scanned_at_intervals_even_after_a_clock_change(
    instance: dg.DagsterInstance,
    engine: sa.Engine,
    runs: list[dg.ExecuteInProcessResult],
    ahead: int,
    looks: bool,  # noqa: FBT001
) -> None:
    instance.delete_run(runs[0].run_id)
    due = datetime.now(UTC) + timedelta(seconds=ahead)

    result = tick(instance, engine, cursor=due.isoformat())

    assert bool(result.asset_events) is looks
    assert (result.cursor != due.isoformat()) is looks
