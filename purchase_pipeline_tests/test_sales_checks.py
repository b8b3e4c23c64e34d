"""Each check of the marts passes on correct sums, and fails on its fault."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from mock_api.app import create_app
from purchase_pipeline.sales.marts import MARTS
from purchase_pipeline_tests.pipelines import a_pipeline, ingest, sum_up, update_marts
from purchase_pipeline_tests.serving import served

LOTS = ("lote-0001", "lote-0002")


@pytest.fixture
def pipeline(database_url: str, tmp_path: Path) -> Iterator[dg.Definitions]:
    """The pipeline with two batches of 200 purchases, of which 4 are rejected, aggregated and in the marts."""
    with served(create_app(defects=0.01)) as url:
        pipeline = a_pipeline(url, tmp_path, database_url)
        assert all(ingest(pipeline, lote).success for lote in LOTS)
        assert sum_up(pipeline, *LOTS).success
        assert update_marts(pipeline).success
        yield pipeline


def harm(engine: sa.Engine, statement: str) -> None:
    with engine.begin() as connection:
        assert connection.execute(sa.text(statement)).rowcount != 0


def checked(pipeline: dg.Definitions, asset: str, check: str) -> dg.AssetCheckEvaluation:
    """Run a check by itself, as the UI's Execute button does."""
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    result = dg.materialize(
        pipeline.resolve_asset_graph().assets_defs,
        selection=dg.AssetSelection.checks(key),
    )
    assert not result.get_asset_materialization_events()
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def numbers_of(evaluation: dg.AssetCheckEvaluation) -> dict[str, object]:
    return {name: value.value for name, value in evaluation.metadata.items()}


def test_every_table_with_all_purchases_is_checked_when_it_is_written(pipeline: dg.Definitions) -> None:
    results = [sum_up(pipeline, *LOTS), update_marts(pipeline)]

    evaluations = [one for result in results for one in result.get_asset_check_evaluations()]
    assert {one.asset_key.to_user_string() for one in evaluations} == {
        "sales_by_lot",
        *(mart.table.name for mart in MARTS if not mart.table.name.startswith("top_")),
    }
    assert all(one.passed for one in evaluations)
    assert {one.metadata["purchases"].value for one in evaluations if "purchases" in one.metadata} == {396}


def test_one_batch_is_checked_alone(pipeline: dg.Definitions) -> None:
    (evaluation,) = sum_up(pipeline, LOTS[0], LOTS[0]).get_asset_check_evaluations()

    assert (evaluation.metadata["batches"].value, evaluation.metadata["purchases"].value) == (1, 198)


@pytest.mark.parametrize(
    "fault",
    [
        "DELETE FROM tabela_compras WHERE lote = 'lote-0002' AND linha < 5",
        "UPDATE tabela_compras SET price = price + 1 WHERE lote = 'lote-0002' AND linha < 5",
        "DELETE FROM sales_by_lot WHERE lote = 'lote-0002'",
        "DELETE FROM sales_by_lot WHERE (lote, state) = ('lote-0002', 'Acre')",
        "UPDATE sales_by_lot SET revenue = revenue + 1 WHERE (lote, state) = ('lote-0002', 'Acre')",
    ],
)
def test_sums_of_a_batch_that_are_not_its_purchases_are_found(
    pipeline: dg.Definitions, engine: sa.Engine, fault: str
) -> None:
    harm(engine, fault)

    evaluation = checked(pipeline, "sales_by_lot", "sums_match_the_purchases")

    assert not evaluation.passed
    assert (evaluation.metadata["batches"].value, evaluation.metadata["batches_that_differ"].value) == (2, 1)
    assert "Different sums: lote-0002." in (evaluation.description or "")


def test_a_batch_that_was_loaded_again_is_not_compared_with_its_old_sums(
    pipeline: dg.Definitions,
) -> None:
    assert ingest(pipeline, "lote-0002", rows=100, refetch=True).success

    evaluation = checked(pipeline, "sales_by_lot", "sums_match_the_purchases")

    assert evaluation.passed
    assert evaluation.metadata["batches"].value == 1


def test_a_mart_without_some_purchases_is_found(pipeline: dg.Definitions, engine: sa.Engine) -> None:
    harm(
        engine,
        "UPDATE revenue_by_state SET purchases = purchases - 1, revenue = revenue - 2.5 WHERE state = 'Acre'",
    )

    evaluation = checked(pipeline, "revenue_by_state", "sums_agree_with_the_source")

    assert not evaluation.passed
    assert numbers_of(evaluation) | {"revenue": 0} == {
        "purchases": 395,
        "purchases_missing": 1,
        "revenue": 0,
        "revenue_missing": 2.5,
    }


def test_a_mart_whose_source_has_been_written_since_is_not_compared(pipeline: dg.Definitions) -> None:
    assert ingest(pipeline, "lote-0003").success
    assert sum_up(pipeline, "lote-0003", "lote-0003").success

    evaluation = checked(pipeline, "revenue_by_state", "sums_agree_with_the_source")

    assert evaluation.passed
    assert evaluation.metadata["purchases_missing"].value == 198
    assert "written since" in (evaluation.description or "")


def test_a_customer_in_no_band_is_found(pipeline: dg.Definitions, engine: sa.Engine) -> None:
    assert checked(pipeline, "customers_by_age_band", "every_customer_is_in_one_band").passed
    harm(engine, "UPDATE customers_by_age_band SET customers = customers - 1 WHERE age_band = '65+'")

    evaluation = checked(pipeline, "customers_by_age_band", "every_customer_is_in_one_band")

    assert not evaluation.passed
    assert evaluation.metadata["customers_missing"].value == 1
