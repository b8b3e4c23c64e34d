"""Each asset check passes on correct batches, and fails on its fault."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from mock_api.app import create_app
from purchase_pipeline.feeds.checks import table_checks
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.purchases import PURCHASES, purchases
from purchase_pipeline.settings import current_settings
from purchase_pipeline_tests.databases import Databases
from purchase_pipeline_tests.pipelines import TwoBatches, a_pipeline, ingest, two_batches
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.storing import failure_of


@pytest.fixture(scope="module")
def batches(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoBatches]:
    """Two loaded batches of 200 rows, 4 rejected."""
    with two_batches(databases, tmp_path_factory.mktemp("landing"), rows=200, defects=0.01) as loaded:
        yield loaded


@pytest.fixture
def ledger(batches: TwoBatches, engine: sa.Engine, tmp_path: Path) -> Ledger:
    """The ledger of two batches that a test may change."""
    batches.copy(engine, tmp_path)
    return Ledger(engine, PURCHASES)


def harm(engine: sa.Engine, statement: str) -> None:
    with engine.begin() as connection:
        assert connection.execute(sa.text(statement)).rowcount != 0


def validated(check: str, ledger: Ledger) -> dg.AssetCheckEvaluation:
    """Run a check by itself, as the UI's Execute button does."""
    checks = table_checks(purchases(current_settings()))
    (key,) = [key for key in checks.check_keys if key.name == check]
    result = dg.materialize(
        [checks], selection=dg.AssetSelection.checks(key), resources={"purchases_ledger": ledger}
    )
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


@pytest.mark.parametrize(
    "check",
    [
        "every_row_is_loaded_or_rejected",
        "linhas_are_gap_free",
        "tables_match_the_contract",
        "rejected_rate_is_low",
    ],
)
def test_every_check_passes_on_correct_batches(check: str, ledger: Ledger) -> None:
    assert validated(check, ledger).passed


@pytest.mark.parametrize("table", ["tabela_compras", "compras_rejeitadas"])
def test_a_lost_row_is_found(ledger: Ledger, engine: sa.Engine, table: str) -> None:
    harm(
        engine,
        f"DELETE FROM {table} WHERE (lote, linha) IN (SELECT lote, linha FROM {table} WHERE lote='lote-0002' LIMIT 1)",  # noqa: S608
    )

    result = validated("every_row_is_loaded_or_rejected", ledger)

    assert not result.passed
    assert result.metadata["unbalanced_partitions"].value == ["lote-0002"]


def test_more_batches_than_query_parameters_can_be_checked(ledger: Ledger) -> None:
    lots = [f"lote-{number:04d}" for number in range(2, 70_000)]

    assert list(ledger.loaded(lots)) == list(ledger.counted(lots)) == ["lote-0002"]
    assert ledger.gaps_and_duplicates(lots) == []


def test_an_empty_database_does_not_pass(engine: sa.Engine) -> None:
    assert not validated("every_row_is_loaded_or_rejected", Ledger(engine, PURCHASES)).passed


def test_a_gap_in_the_row_numbers_is_found(ledger: Ledger, engine: sa.Engine) -> None:
    harm(engine, "UPDATE tabela_compras SET linha = linha + 1000 WHERE lote = 'lote-0001' AND linha > 150")

    result = validated("linhas_are_gap_free", ledger)

    assert not result.passed
    assert result.metadata["partitions_with_gaps_or_duplicates"].value == [
        "lote-0001: gaps=1000, duplicates=0"
    ]


def test_a_row_in_both_tables_is_found(ledger: Ledger, engine: sa.Engine) -> None:
    harm(
        engine,
        "INSERT INTO compras_rejeitadas SELECT lote, linha, '{}', '{}', '', '', now(), '' FROM tabela_compras LIMIT 1",
    )

    result = validated("linhas_are_gap_free", ledger)

    assert result.metadata["partitions_with_gaps_or_duplicates"].value == ["lote-0001: gaps=0, duplicates=1"]


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (
            "ALTER COLUMN job TYPE varchar(500)",
            "tabela_compras.job: the contract has TEXT NOT NULL, the table VARCHAR(500) NOT NULL",
        ),
        (
            "ALTER COLUMN state DROP NOT NULL",
            "tabela_compras.state: the contract has TEXT NOT NULL, the table TEXT",
        ),
        (
            "DROP COLUMN brand",
            "tabela_compras.brand: the contract has TEXT NOT NULL, the table no such column",
        ),
        (
            "ADD COLUMN cupom text",
            "tabela_compras.cupom: the contract has no such column, the table TEXT",
        ),
    ],
)
def test_a_changed_table_does_not_match_the_contract(
    ledger: Ledger, engine: sa.Engine, change: str, difference: str
) -> None:
    harm(engine, f"ALTER TABLE tabela_compras {change}")

    result = validated("tables_match_the_contract", ledger)

    assert not result.passed
    assert result.metadata["differences"].value == [difference]


def test_the_daily_job_checks_batches_that_were_loaded_before(
    database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    with served(create_app()) as url:
        pipeline = a_pipeline(url, tmp_path, database_url)
        assert all(ingest(pipeline, lote).success for lote in ("lote-0001", "lote-0002"))
    harm(engine, "DELETE FROM tabela_compras WHERE lote = 'lote-0001' AND linha <= 3")

    run = pipeline.resolve_job_def("check_purchases").execute_in_process()

    evaluations = {each.check_name: each for each in run.get_asset_check_evaluations()}
    assert {name: each.passed for name, each in evaluations.items()} == {
        "every_row_is_loaded_or_rejected": False,
        "linhas_are_gap_free": False,
        "tables_match_the_contract": True,
        "rejected_rate_is_low": True,
    }
    assert evaluations["every_row_is_loaded_or_rejected"].metadata["unbalanced_partitions"].value == [
        "lote-0001"
    ]
    schedules = {each.job_name: each for each in pipeline.get_repository_def().schedule_defs}
    assert schedules["check_purchases"].default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedules["check_purchases"].description == "Checks all loaded partitions, at these times."


def test_checks_of_a_database_that_is_away_explain_themselves(tmp_path: Path) -> None:
    pipeline = a_pipeline("http://127.0.0.1:9", tmp_path, "postgresql://me@127.0.0.1:1/none")

    run = pipeline.resolve_job_def("check_purchases").execute_in_process(raise_on_error=False)

    assert (failure_of(run).description or "").startswith("The database is unavailable: connection failed: ")


def test_many_rejects_are_a_warning(database_url: str, engine: sa.Engine, tmp_path: Path) -> None:
    with served(create_app(defects=0.04)) as url:
        assert ingest(a_pipeline(url, tmp_path, database_url)).success

    result = validated("rejected_rate_is_low", Ledger(engine, PURCHASES))

    assert not result.passed
    assert result.severity is dg.AssetCheckSeverity.WARN
    assert result.metadata["rejected_rate"].value == pytest.approx(0.04)
