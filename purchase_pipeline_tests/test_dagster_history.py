"""Old runs are deleted from Dagster's own storage, save what the asset catalog shows of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from mock_api.app import create_app
from purchase_pipeline.stack.dagster_history import PrunedRun, of_code_location, prune_runs
from purchase_pipeline.stack.run_ownership import LAUNCHED_BY_TAG
from purchase_pipeline_tests.pipelines import a_pipeline, ingest
from purchase_pipeline_tests.serving import served

ASSETS = [dg.AssetKey(name) for name in ("compras_rejeitadas", "raw_purchases", "tabela_compras")]
CHECK = dg.AssetCheckKey(dg.AssetKey("tabela_compras"), "every_row_is_loaded_or_rejected")
LATER = datetime.now(UTC) + timedelta(days=100)


@pytest.fixture
def runs(instance: dg.DagsterInstance, database_url: str, tmp_path: Path) -> dict[str, str]:
    """The runs of three batches: one loaded twice, one that failed and was loaded, one that failed."""
    with served(create_app(defects=0.02)) as url:
        pipeline = a_pipeline(url, tmp_path / "landing", database_url)
        loads = {
            "superseded": ingest(pipeline, "lote-0001", instance=instance),
            "newest": ingest(pipeline, "lote-0001", instance=instance),
            "failed, then loaded": ingest(pipeline, "lote-0002", instance=instance, max_rejected_ratio=0.001),
            "loaded": ingest(pipeline, "lote-0002", instance=instance),
            "failed": ingest(pipeline, "lote-0003", instance=instance, max_rejected_ratio=0.001),
        }
    assert {name for name, load in loads.items() if not load.success} == {"failed, then loaded", "failed"}
    return {name: load.run_id for name, load in loads.items()}


def catalog(instance: dg.DagsterInstance) -> dict[str, Any]:
    """Return what the UI shows of the assets: partitions, newest materializations, and results of a check."""
    storage = instance.event_log_storage
    newest = {
        (asset, key): instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[key]), limit=1
        ).records
        for asset in ASSETS
        for key in ("lote-0001", "lote-0002", "lote-0003")
    }
    checks = storage.get_latest_asset_check_execution_by_key([CHECK])
    return {
        "partitions": {asset: instance.get_materialized_partitions(asset) for asset in ASSETS},
        "newest": newest,
        "checks": checks,
        "assets": [record.asset_entry.last_materialization_record for record in storage.get_asset_records()],
    }


def events_of(instance: dg.DagsterInstance, run_id: str) -> set[str]:
    return {
        entry.dagster_event.event_type_value for entry in instance.all_logs(run_id) if entry.dagster_event
    }


def output_of(instance: dg.DagsterInstance, run_id: str) -> Path:
    return Path(instance.root_directory) / "storage" / run_id


def test_what_the_catalog_shows_is_kept(instance: dg.DagsterInstance, runs: dict[str, str]) -> None:
    before = catalog(instance)
    failure = events_of(instance, runs["failed"])
    assert all(output_of(instance, run_id).is_dir() for run_id in runs.values())

    foretold = set(prune_runs(instance, LATER, dry_run=True))
    assert {instance.has_run(run_id) for run_id in runs.values()} == {True}
    pruned = set(prune_runs(instance, LATER))

    assert (
        pruned
        == foretold
        == {
            PrunedRun(runs["superseded"], "run"),
            PrunedRun(runs["failed, then loaded"], "run"),
            PrunedRun(runs["newest"], "log"),
            PrunedRun(runs["loaded"], "log"),
        }
    )
    assert catalog(instance) == before
    left = {name: instance.has_run(run_id) for name, run_id in runs.items()}
    assert [name for name, is_left in left.items() if is_left] == ["newest", "loaded", "failed"]
    assert events_of(instance, runs["newest"]) == {
        "ASSET_MATERIALIZATION_PLANNED",
        "ASSET_MATERIALIZATION",
        "ASSET_CHECK_EVALUATION",
    }
    assert events_of(instance, runs["failed"]) == failure
    assert [name for name, run_id in runs.items() if output_of(instance, run_id).exists()] == ["failed"]
    assert list(prune_runs(instance, LATER)) == []


def test_a_run_without_its_log_is_deleted_once_another_has_loaded_its_batch(
    instance: dg.DagsterInstance, runs: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    list(prune_runs(instance, LATER))
    pipeline = a_pipeline("http://127.0.0.1:9", tmp_path / "landing", database_url)
    newer = ingest(pipeline, "lote-0001", instance=instance)
    assert newer.success

    foretold = list(prune_runs(instance, LATER, dry_run=True))

    assert sorted(foretold) == sorted([PrunedRun(newer.run_id, "log"), PrunedRun(runs["newest"], "run")])
    assert list(prune_runs(instance, LATER)) == foretold
    assert not instance.has_run(runs["newest"])


def test_no_row_of_a_deleted_run_is_left(
    instance: dg.DagsterInstance, runs: dict[str, str], engine: sa.Engine
) -> None:
    list(prune_runs(instance, LATER))

    with engine.connect() as connection:
        for table in ("runs", "run_tags", "event_logs", "asset_check_executions"):
            left = set(connection.scalars(sa.text(f"SELECT run_id FROM {table}")))  # noqa: S608
            assert left - {""} <= {runs[name] for name in ("newest", "loaded", "failed")}, table


def test_what_is_younger_or_in_progress_is_kept(
    instance: dg.DagsterInstance, runs: dict[str, str], engine: sa.Engine
) -> None:
    young = datetime.now(UTC) - timedelta(minutes=10)
    assert list(prune_runs(instance, young)) == []

    with engine.begin() as connection:  # as of a run that ended, and is resumed
        connection.execute(
            sa.text(
                "UPDATE runs SET status = 'STARTED', run_body = replace(run_body, 'SUCCESS', 'STARTED') "
                "WHERE run_id = :run_id"
            ),
            {"run_id": runs["superseded"]},
        )

    assert runs["superseded"] not in {run.run_id for run in prune_runs(instance, LATER)}
    assert instance.has_run(runs["superseded"])


def test_an_interrupted_deletion_is_continued(instance: dg.DagsterInstance, runs: dict[str, str]) -> None:
    instance.run_storage.delete_run(runs["superseded"])  # the first of Dagster's two steps

    assert PrunedRun(runs["superseded"], "run") in set(prune_runs(instance, LATER))

    assert events_of(instance, runs["superseded"]) == set()


@pytest.mark.parametrize(
    ("tags", "owned"),
    [
        ({".dagster/repository": "__repository__@ours"}, True),
        ({".dagster/repository": "__repository__@theirs"}, False),
        ({LAUNCHED_BY_TAG: "here"}, True),
        ({}, False),
    ],
)
def test_runs_of_other_code_locations_are_not_ours(tags: dict[str, str], owned: bool) -> None:  # noqa: FBT001
    prune = dg.DagsterRun("prune", tags={".dagster/repository": "__repository__@ours"})

    assert of_code_location(prune)(dg.DagsterRun("load", tags=tags)) is owned


def test_only_owned_runs_are_deleted(instance: dg.DagsterInstance, runs: dict[str, str]) -> None:
    owned = runs["failed, then loaded"]

    pruned = list(prune_runs(instance, LATER, owns=lambda run: run.run_id == owned))

    assert pruned == [PrunedRun(owned, "run")]
