"""Which sales assets are requested, and when: Dagster evaluates the conditions on a real instance."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor

from mock_api.app import create_app
from purchase_pipeline.feeds.backlog import Backlog, Taken
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.purchases import PURCHASES
from purchase_pipeline.sales import tables
from purchase_pipeline.sales.automation import GROUP
from purchase_pipeline.sales.marts import MARTS
from purchase_pipeline_tests.pipelines import a_feed, a_pipeline, ingest, sum_up, update_marts
from purchase_pipeline_tests.serving import served

pytestmark = pytest.mark.proof

WHOLE = {mart.table.name for mart in MARTS}


class Automation:
    """Plays the daemon: evaluates the conditions from a cursor and runs what is requested."""

    def __init__(self, pipeline: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self.pipeline = pipeline
        self.instance = instance
        self._cursor: AssetDaemonCursor | None = None

    def asked(self) -> tuple[list[str], set[str]]:
        """Return the batches to aggregate, and the unpartitioned assets to update."""
        result = dg.evaluate_automation_conditions(
            self.pipeline,
            self.instance,
            asset_selection=dg.AssetSelection.groups(GROUP),
            cursor=self._cursor,
        )
        self._cursor = result.cursor
        lots = sorted(filter(None, result.get_requested_partitions(dg.AssetKey("sales_by_lot"))))
        whole = {name for name in WHOLE if result.get_num_requested(dg.AssetKey(name))}
        return lots, whole

    def sum_up(self, *lots: str) -> bool:
        """Aggregate consecutive batches in one run, and return whether it succeeded."""
        return sum_up(self.pipeline, lots[0], lots[-1], self.instance).success


@pytest.fixture
def automation(database_url: str, tmp_path: Path) -> Iterator[Automation]:
    """The pipeline with a mock API, and nothing loaded."""
    with served(create_app()) as url, dg.DagsterInstance.ephemeral() as instance:
        yield Automation(a_pipeline(url, tmp_path, database_url), instance)


def load(automation: Automation, *lots: str, refetch: bool = False) -> None:
    for lote in lots:
        ingest(automation.pipeline, lote, rows=10, refetch=refetch, instance=automation.instance)


def test_nothing_is_requested_before_a_batch_is_loaded(automation: Automation) -> None:
    assert automation.asked() == ([], set())
    assert automation.asked() == ([], set())


def test_new_batches_are_aggregated_and_then_the_marts_are_updated(automation: Automation) -> None:
    automation.asked()

    load(automation, "lote-0001", "lote-0002")
    assert automation.asked() == (["lote-0001", "lote-0002"], set())

    automation.sum_up("lote-0001", "lote-0002")
    assert automation.asked() == ([], WHOLE)
    assert automation.asked() == ([], set())


def test_batches_loaded_before_the_first_tick_are_aggregated(automation: Automation) -> None:
    load(automation, "lote-0001", "lote-0003")

    assert automation.asked()[0] == ["lote-0001", "lote-0003"]


def test_a_reloaded_batch_is_aggregated_again(automation: Automation) -> None:
    load(automation, "lote-0001")
    automation.asked()
    automation.sum_up("lote-0001")
    automation.asked()

    load(automation, "lote-0001", refetch=True)

    assert automation.asked() == (["lote-0001"], set())


def test_wiped_assets_are_materialized_again(automation: Automation) -> None:
    lots = ["lote-0001", "lote-0002", "lote-0003"]
    load(automation, *lots)
    automation.asked()
    automation.sum_up(*lots)
    automation.asked()
    assert update_marts(automation.pipeline, automation.instance).success
    assert automation.asked() == ([], set())

    wiped = MARTS[0].table.name
    automation.instance.wipe_assets([dg.AssetKey(wiped)])
    assert automation.asked() == ([], {wiped})

    automation.instance.wipe_assets([dg.AssetKey("sales_by_lot")])
    assert automation.asked()[0] == lots


def test_a_batch_whose_aggregation_failed_is_not_retried(automation: Automation, engine: sa.Engine) -> None:
    load(automation, "lote-0001")
    automation.asked()
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE VIEW sales_by_lot AS SELECT 1 AS one"))
    assert not automation.sum_up("lote-0001")

    assert automation.asked()[0] == []


def test_a_mart_that_failed_without_its_source_follows_when_that_is_updated(automation: Automation) -> None:
    lots = ["lote-0001", "lote-0002", "lote-0003"]
    load(automation, *lots)
    automation.asked()
    automation.sum_up(*lots)
    automation.asked()
    assert update_marts(automation.pipeline, automation.instance).success
    source = dg.AssetMaterialization(tables.CUSTOMERS_BY_MONTH_AND_STORE.name)
    automation.instance.report_runless_asset_event(source)
    assert automation.asked() == ([], set())

    mart = tables.CUSTOMERS_BY_AGE_BAND.name
    run = automation.instance.create_run_for_job(
        automation.pipeline.resolve_implicit_global_asset_job_def(),
        asset_selection=frozenset({dg.AssetKey(mart)}),
    )
    automation.instance.report_run_failed(run, "its source does not exist")
    assert automation.asked() == ([], set())

    automation.instance.report_runless_asset_event(source)
    assert automation.asked() == ([], {mart})


def test_aggregating_a_batch_does_not_load_it(automation: Automation, engine: sa.Engine) -> None:
    load(automation, "lote-0001")
    ends = {"start": "lote-0001", "end": "lote-0002"}
    for tags in (
        {"dagster/partition": "lote-0001"},
        {f"dagster/asset_partition_range_{end}": lote for end, lote in ends.items()},
    ):
        run = automation.instance.create_run_for_job(
            automation.pipeline.resolve_implicit_global_asset_job_def(),
            tags=tags,
            status=dg.DagsterRunStatus.STARTED,
            asset_selection=frozenset({dg.AssetKey("sales_by_lot")}),
        )

    campaign = Backlog(a_feed("lote-0001", "lote-0002"), Ledger(engine, PURCHASES), automation.instance)

    assert campaign.in_progress() == set()
    (lot,) = campaign.loaded().values()
    assert (campaign.taken(lot) or Taken(-1)).ran > 0
    assert campaign.attempts("lote-0001") == 1
    automation.instance.report_run_failed(run, "gone")
    assert campaign.failures(lot.committed_at) == []
