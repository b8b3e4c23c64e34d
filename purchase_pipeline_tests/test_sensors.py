"""The sensor requests what is missing, and backs off after failures."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from mock_api.app import create_app
from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.feeds.backoff import delay_after
from purchase_pipeline.feeds.sensors import missing_partitions, ticks
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.purchases import PURCHASES, purchases
from purchase_pipeline.settings import current_settings
from purchase_pipeline_tests.pipelines import a_feed, a_pipeline, ingest
from purchase_pipeline_tests.serving import served

STARTED = dg.DagsterRunStatus.STARTED


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance for a test."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def pipeline(database_url: str, tmp_path: Path) -> Iterator[dg.Definitions]:
    """The pipeline with a mock API."""
    with served(create_app()) as url:
        yield a_pipeline(url, tmp_path, database_url)


def tick(instance: dg.DagsterInstance, engine: sa.Engine) -> dg.SensorResult:
    with dg.build_sensor_context(
        instance, resources={"purchases_ledger": Ledger(engine, PURCHASES)}
    ) as context:
        result = missing_partitions(purchases(current_settings()))(context)
    assert isinstance(result, dg.SensorResult)
    return result


def requests(instance: dg.DagsterInstance, engine: sa.Engine) -> list[dg.RunRequest]:
    return list(tick(instance, engine).run_requests or [])


def attempt_in(request: dg.RunRequest) -> str:
    """Return batch and attempt of a run key."""
    return str(request.run_key).rpartition("/")[0]


def test_the_first_batch_is_requested_first(instance: dg.DagsterInstance, engine: sa.Engine) -> None:
    (request,) = requests(instance, engine)

    assert (request.partition_key, attempt_in(request)) == ("lote-0001", "lote-0001/1")


def test_a_loaded_batch_is_not_requested_again(
    instance: dg.DagsterInstance, engine: sa.Engine, pipeline: dg.Definitions
) -> None:
    ingest(pipeline, "lote-0001", instance=instance)

    (request,) = requests(instance, engine)

    assert request.partition_key == "lote-0002"


def test_a_batch_in_progress_is_not_requested_again(
    instance: dg.DagsterInstance, engine: sa.Engine, pipeline: dg.Definitions
) -> None:
    instance.create_run_for_job(
        pipeline.resolve_job_def("ingest_lote"),
        tags={"dagster/partition": "lote-0001"},
        status=STARTED,
    )

    (request,) = requests(instance, engine)

    assert request.partition_key == "lote-0002"


def test_a_wiped_batch_is_loaded_again_under_a_new_run_key(
    instance: dg.DagsterInstance, engine: sa.Engine, pipeline: dg.Definitions
) -> None:
    for lote in ("lote-0001", "lote-0002"):
        ingest(pipeline, lote, instance=instance)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM tabela_compras WHERE lote = 'lote-0001'"))

    (request,) = requests(instance, engine)

    assert (request.partition_key, attempt_in(request)) == ("lote-0001", "lote-0001/2")


def test_run_keys_are_unique_even_after_runs_were_deleted(
    instance: dg.DagsterInstance, engine: sa.Engine, pipeline: dg.Definitions
) -> None:
    keys = list[str | None]()
    for _ in range(3):
        (request,) = requests(instance, engine)
        keys.append(request.run_key)
        run = instance.create_run_for_job(
            pipeline.resolve_job_def("ingest_lote"), tags={"dagster/partition": "lote-0001"}
        )
        instance.delete_run(run.run_id)

    assert len(set(keys)) == len(keys)


def test_runs_that_were_deleted_while_in_progress_are_requested_again(
    instance: dg.DagsterInstance, engine: sa.Engine, pipeline: dg.Definitions
) -> None:
    run = instance.create_run_for_job(
        pipeline.resolve_job_def("ingest_lote"), tags={"dagster/partition": "lote-0001"}, status=STARTED
    )
    instance.delete_run(run.run_id)

    (request,) = requests(instance, engine)

    assert request.partition_key == "lote-0001"


def test_deleted_failures_are_forgotten_and_the_batch_is_requested_at_once(
    instance: dg.DagsterInstance, engine: sa.Engine, pipeline: dg.Definitions
) -> None:
    for run in [a_failed_run(instance, pipeline, "lote-0001") for _ in range(10)]:
        instance.delete_run(run.run_id)

    (request,) = requests(instance, engine)

    assert request.partition_key == "lote-0001"


def test_a_batch_whose_run_was_deleted_has_no_duration(
    instance: dg.DagsterInstance, engine: sa.Engine, pipeline: dg.Definitions
) -> None:
    first, second = (ingest(pipeline, "lote-0001", instance=instance) for _ in range(2))
    campaign = Backlog(a_feed("lote-0001"), Ledger(engine, PURCHASES), instance)
    lot = campaign.loaded()["lote-0001"]
    known = campaign.taken(lot)

    instance.delete_run(second.run_id)

    assert first.success
    assert known is not None
    assert 0 < known.ran < 60
    assert 0 <= known.queued < 60
    assert campaign.taken(lot) is None


def test_a_dropped_table_makes_every_batch_missing(
    instance: dg.DagsterInstance, engine: sa.Engine, pipeline: dg.Definitions
) -> None:
    ingest(pipeline, "lote-0001", instance=instance)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE tabela_compras"))

    (request,) = requests(instance, engine)

    assert request.partition_key == "lote-0001"


def test_a_failed_batch_is_backed_off_and_the_others_continue(
    instance: dg.DagsterInstance, engine: sa.Engine, database_url: str, tmp_path: Path
) -> None:
    with served(create_app(defects=1.0)) as url:
        failed = ingest(a_pipeline(url, tmp_path, database_url), "lote-0001", instance=instance)

    (request,) = requests(instance, engine)

    assert not failed.success
    assert request.partition_key == "lote-0002"


def a_failed_run(instance: dg.DagsterInstance, pipeline: dg.Definitions, lote: str) -> dg.DagsterRun:
    """Leave a failed run of a batch, as if its process had died."""
    run = instance.create_run_for_job(
        pipeline.resolve_job_def("ingest_lote"), tags={"dagster/partition": lote}, status=STARTED
    )
    instance.report_run_failed(run, "gone")
    return run


def test_a_batch_with_ten_failures_within_a_day_is_stopped(
    instance: dg.DagsterInstance, engine: sa.Engine, pipeline: dg.Definitions
) -> None:
    for _ in range(10):
        a_failed_run(instance, pipeline, "lote-0002")
    for lote in ("lote-0001", "lote-0003"):
        ingest(pipeline, lote, rows=1, instance=instance)

    result = tick(instance, engine)

    assert not result.run_requests
    assert "1 remaining; stopped for a day after 10 failures: lote-0002. Fix the cause" in str(
        result.skip_reason
    )
    assert "materialize the batch in the UI or run `purchase-pipeline ingest`" in str(result.skip_reason)


def test_a_run_that_dagster_is_about_to_retry_is_left_to_dagster(
    instance: dg.DagsterInstance, engine: sa.Engine, pipeline: dg.Definitions
) -> None:
    run = a_failed_run(instance, pipeline, "lote-0001")
    instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})

    result = tick(instance, engine)

    assert [request.partition_key for request in result.run_requests or []] == ["lote-0002"]
    assert Backlog(a_feed("lote-0001"), Ledger(engine, PURCHASES), instance).in_progress() == {"lote-0001"}


def test_all_batches_of_a_run_over_a_range_are_in_progress(
    instance: dg.DagsterInstance, engine: sa.Engine, pipeline: dg.Definitions
) -> None:
    ends = {"start": "lote-0001", "end": "lote-0002"}
    instance.create_run_for_job(
        pipeline.resolve_job_def("ingest_lote"),
        tags={f"dagster/asset_partition_range_{end}": lote for end, lote in ends.items()},
    )

    campaign = Backlog(a_feed("lote-0001", "lote-0002", "lote-0003"), Ledger(engine, PURCHASES), instance)

    assert campaign.in_progress() == {"lote-0001", "lote-0002"}


def test_a_run_of_another_feed_with_the_same_partitions_is_not_in_progress(
    instance: dg.DagsterInstance, engine: sa.Engine, pipeline: dg.Definitions
) -> None:
    instance.create_run_for_job(
        pipeline.resolve_job_def("ingest_lote"), tags={"dagster/partition": "lote-0001"}, status=STARTED
    )
    others = replace(a_feed("lote-0001"), name="orders", raw_asset="raw_orders", job="ingest_orders")

    assert Backlog(a_feed("lote-0001"), Ledger(engine, PURCHASES), instance).in_progress() == {"lote-0001"}
    assert Backlog(others, Ledger(engine, PURCHASES), instance).in_progress() == set()


def test_a_failure_that_dagster_retried_does_not_count(
    instance: dg.DagsterInstance, engine: sa.Engine, pipeline: dg.Definitions
) -> None:
    for _ in range(10):
        run = a_failed_run(instance, pipeline, "lote-0001")
        instance.add_run_tags(
            run.run_id, {"dagster/will_retry": "true", "dagster/auto_retry_run_id": "another"}
        )

    (request,) = requests(instance, engine)

    assert (request.partition_key, attempt_in(request)) == ("lote-0001", "lote-0001/11")


def test_the_tick_is_skipped_when_all_batches_are_loaded(
    instance: dg.DagsterInstance, engine: sa.Engine, pipeline: dg.Definitions
) -> None:
    for lote in current_settings().lote_names:
        ingest(pipeline, lote, rows=1, instance=instance)

    result = tick(instance, engine)

    assert not result.run_requests
    assert (
        str(result.skip_reason)
        == "SkipReason(skip_message='3 of 3 batches loaded, 0 in progress, 0 remaining.')"
    )


def test_back_off_doubles_to_an_hour() -> None:
    assert [delay_after(failures) / timedelta(seconds=1) for failures in (1, 2, 3, 9, 10, 99)] == [
        10, 20, 40, 2560, 3600, 3600,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("every", "interval", "lots"), [(5, 4, 1), (60, 59, 1), (2.5, 4, 2), (1, 4, 5), (0.1, 4, 50)]
)
def test_the_interval_fits_the_daemons(every: float, interval: int, lots: int) -> None:
    assert ticks(every) == (interval, lots)
