"""Batches loaded by the real assets, with a real API, files and database."""

import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from fastapi import FastAPI, Response
from psutil import Process

from mock_api.app import create_app
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.reconciliation import Verifier
from purchase_pipeline.ingest.validation import most_common_reasons
from purchase_pipeline.purchases import PURCHASES, TABELA_COMPRAS
from purchase_pipeline_tests.builders import a_compra
from purchase_pipeline_tests.fetching import an_api
from purchase_pipeline_tests.landed import rewrite
from purchase_pipeline_tests.pipelines import a_pipeline, ingest, with_api
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.storing import error_of, failure_of, rows_of


@pytest.fixture(scope="module")
def mock_api_url() -> Iterator[str]:
    """The mock API."""
    with served(create_app()) as url:
        yield url


@pytest.fixture(scope="module")
def faulty_api_url() -> Iterator[str]:
    """The mock API with one invalid row in a hundred."""
    with served(create_app(defects=0.01)) as url:
        yield url


def count(engine: sa.Engine, query: str) -> tuple[object, ...]:
    with engine.connect() as connection:
        return tuple(connection.execute(sa.text(query)).one())


LOADED = "SELECT count(*), count(DISTINCT lote), count(DISTINCT (lote, linha)) FROM tabela_compras"
EVERYTHING = (
    "SELECT md5(string_agg(t::text, ',' ORDER BY lote, linha)) FROM (SELECT {} FROM tabela_compras) t"
)
WITHOUT_ID = EVERYTHING.format(", ".join(c.name for c in TABELA_COMPRAS.columns if c.identity is None))


def test_batches_are_loaded_with_their_row_numbers(
    mock_api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    pipeline = a_pipeline(mock_api_url, tmp_path, database_url)

    results = [ingest(pipeline, lote) for lote in ("lote-0001", "lote-0002")]

    assert all(result.success for result in results)
    assert count(engine, LOADED) == (400, 2, 400)
    assert count(engine, "SELECT min(linha), max(linha) FROM tabela_compras") == (1, 200)


def metadata_of(result: dg.ExecuteInProcessResult, asset: str) -> dict[str | None, dict[str, object]]:
    """Return the metadata of an asset's materializations by batch."""
    return {
        event.partition: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.all_events
        if event.is_step_materialization and event.asset_key == dg.AssetKey(asset)
    }


def test_a_run_of_several_batches_commits_and_reports_each(
    faulty_api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    result = ingest(a_pipeline(faulty_api_url, tmp_path, database_url), "lote-0001", last="lote-0003")

    assert result.success
    assert count(engine, LOADED) == (594, 3, 594)
    assert count(engine, "SELECT count(DISTINCT digest), count(DISTINCT xmin::text) FROM slice_ledger") == (
        3,
        3,
    )
    loaded, rejected = metadata_of(result, "tabela_compras"), metadata_of(result, "compras_rejeitadas")
    assert loaded.keys() == rejected.keys() == {"lote-0001", "lote-0002", "lote-0003"}
    assert len({str(reported["digest"]) for reported in loaded.values()}) == 3
    assert {reported["dagster/partition_row_count"] for reported in rejected.values()} == {2}
    assert all(reported["reasons"] for reported in rejected.values())
    (numbers,) = [
        check.metadata
        for check in result.get_asset_check_evaluations()
        if check.check_name == "every_row_is_loaded_or_rejected"
    ]
    assert numbers["received"].value == 600


def test_a_failed_batch_ends_its_run_and_keeps_earlier_ones(
    database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    app = FastAPI()

    @app.get("/gerar_compra/{param}")
    def gerar_compra(param: int, lote: str) -> list[dict[str, object]]:
        return [a_compra() if lote != "lote-0002" else {} for _ in range(param)]

    with served(app) as url, dg.DagsterInstance.ephemeral() as instance:
        pipeline = a_pipeline(url, tmp_path, database_url)
        result = ingest(pipeline, "lote-0001", last="lote-0003", instance=instance)
        reported = [
            instance.get_materialized_partitions(dg.AssetKey(table))
            for table in ("tabela_compras", "compras_rejeitadas")
        ]

    assert not result.success
    assert count(engine, LOADED) == (200, 1, 200)
    assert reported == [{"lote-0001"}, {"lote-0001"}]


def test_every_check_passes_with_its_metadata(faulty_api_url: str, database_url: str, tmp_path: Path) -> None:
    result = ingest(a_pipeline(faulty_api_url, tmp_path, database_url))

    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert {name: check.passed for name, check in checks.items()} == {
        "every_row_is_loaded_or_rejected": True,
        "linhas_are_gap_free": True,
        "tables_match_the_contract": True,
        "rejected_rate_is_low": True,
    }
    numbers = checks["every_row_is_loaded_or_rejected"].metadata
    assert [numbers[name].value for name in ("received", "loaded", "rejected")] == [200, 198, 2]


def test_loading_a_batch_again_gives_the_same_rows(
    mock_api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    pipeline = a_pipeline(mock_api_url, tmp_path, database_url)
    ingest(pipeline)
    first = count(engine, WITHOUT_ID)

    ingest(pipeline)
    ingest(pipeline, refetch=True)

    assert count(engine, WITHOUT_ID) == first
    assert count(engine, LOADED) == (200, 1, 200)


def test_a_landed_batch_is_not_fetched_again(mock_api_url: str, database_url: str, tmp_path: Path) -> None:
    ingest(a_pipeline(mock_api_url, tmp_path, database_url))

    result = ingest(a_pipeline("http://127.0.0.1:9", tmp_path, database_url))

    assert result.success
    metadata = result.asset_materializations_for_node("raw_purchases")[0].metadata
    assert metadata["fetched_in_this_run"].value is False


def test_a_damaged_file_is_fetched_again_and_loaded(
    mock_api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    pipeline = a_pipeline(mock_api_url, tmp_path, database_url)
    ingest(pipeline)
    (landed,) = tmp_path.glob("lote-0001.*.zst")
    landed.write_bytes(landed.read_bytes()[:-1_000])

    result = ingest(pipeline)

    metadata = result.asset_materializations_for_node("raw_purchases")[0].metadata
    assert metadata["fetched_in_this_run"].value is True
    assert count(engine, LOADED) == (200, 1, 200)


def load_alone(pipeline: dg.Definitions) -> dg.ExecuteInProcessResult:
    """Materialize both tables of a landed batch, as replay does."""
    return pipeline.resolve_job_def("ingest_lote").execute_in_process(
        partition_key="lote-0001",
        asset_selection=[dg.AssetKey("tabela_compras"), dg.AssetKey("compras_rejeitadas")],
        raise_on_error=False,
    )


@pytest.mark.parametrize("member", [b'"store":', b'"price":', b"{"])
def test_a_changed_file_is_not_loaded_and_fetched_again(
    mock_api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path, member: bytes
) -> None:
    pipeline = a_pipeline(mock_api_url, tmp_path, database_url)
    ingest(pipeline)
    before = count(engine, EVERYTHING.format("*")), count(engine, "SELECT max(run_id) FROM slice_ledger")
    (landed,) = tmp_path.glob("lote-0001.*.zst")
    rewrite(landed, member, member + b"1")

    alone = load_alone(pipeline)

    assert not alone.success
    assert "its content has changed" in error_of(alone)
    assert before == (
        count(engine, EVERYTHING.format("*")),
        count(engine, "SELECT max(run_id) FROM slice_ledger"),
    )
    assert ingest(pipeline).success
    assert load_alone(pipeline).success


def test_a_changed_file_with_many_rejects_is_not_marked_as_refused(
    mock_api_url: str, database_url: str, tmp_path: Path
) -> None:
    pipeline = a_pipeline(mock_api_url, tmp_path, database_url)
    ingest(pipeline, rows=1)
    (landed,) = tmp_path.glob("lote-0001.*.zst")
    rewrite(landed, b'"store":', b'"stone":')

    alone = load_alone(pipeline)

    assert "its content has changed" in error_of(alone)
    found = landing_at(str(tmp_path)).find("lote-0001")
    assert found is not None
    assert not found.refused


def test_a_damaged_manifest_is_reported_and_the_batch_fetched_again(
    mock_api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    pipeline = a_pipeline(mock_api_url, tmp_path, database_url)
    ingest(pipeline)
    manifest = tmp_path / "lote-0001.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"lote-0001", b"lote-0003", 1))

    verifier = Verifier(engine, PURCHASES, landing_at(str(tmp_path)))
    assert verifier.verify("lote-0001").differences == [
        f"no landed file in {tmp_path}, or a damaged manifest lote-0001.json"
    ]

    result = ingest(pipeline)
    metadata = result.asset_materializations_for_node("raw_purchases")[0].metadata
    assert metadata["fetched_in_this_run"].value is True
    assert verifier.verify("lote-0001").differences == []


def test_a_trigger_that_drops_rows_fails_the_batch_and_keeps_the_old_one(
    mock_api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    pipeline = a_pipeline(mock_api_url, tmp_path, database_url)
    ingest(pipeline)
    before = count(engine, EVERYTHING.format("*"))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            """CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF NEW.linha = 7 THEN RETURN NULL; END IF; RETURN NEW; END $$;
            CREATE TRIGGER swallow BEFORE INSERT ON tabela_compras FOR EACH ROW EXECUTE FUNCTION swallow()"""
        )

    result = ingest(pipeline)

    assert "table public.tabela_compras: 200 rows were given, but 199 would be stored" in error_of(result)
    assert count(engine, EVERYTHING.format("*")) == before
    assert count(engine, "SELECT rows FROM slice_ledger WHERE asset = 'tabela_compras'") == (200,)


def test_a_refused_batch_is_requested_again_and_loaded_once_valid(
    mock_api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    with served(create_app(defects=0.5)) as broken_url:
        assert not ingest(a_pipeline(broken_url, tmp_path, database_url)).success

    assert ingest(a_pipeline(mock_api_url, tmp_path, database_url)).success

    assert count(engine, LOADED) == (200, 1, 200)


def test_one_bad_row_in_ten_thousand_is_quarantined(
    database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    with served(create_app(defects=0.0001)) as one_bad_url:
        result = ingest(a_pipeline(one_bad_url, tmp_path, database_url), rows=10_000)

    assert result.success
    assert count(
        engine, "SELECT count(*), (SELECT count(*) FROM compras_rejeitadas) FROM tabela_compras"
    ) == (
        9_999,
        1,
    )


def test_both_tables_change_in_one_transaction(
    faulty_api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    ingest(a_pipeline(faulty_api_url, tmp_path, database_url))

    writers = """SELECT count(DISTINCT xmin::text) FROM (SELECT xmin FROM tabela_compras
        UNION ALL SELECT xmin FROM compras_rejeitadas UNION ALL SELECT xmin FROM slice_ledger) every_row"""
    assert count(engine, writers) == (1,)


def test_a_load_that_fails_midway_leaves_no_file_open(
    mock_api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    pipeline = a_pipeline(mock_api_url, tmp_path, database_url)
    ingest(pipeline)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE tabela_compras ALTER price TYPE text"))

    result = ingest(pipeline)

    assert not result.success
    assert not [file for file in Process().open_files() if Path(file.path).is_relative_to(tmp_path)]


def test_a_row_rejected_again_keeps_its_first_seen(
    faulty_api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    pipeline = a_pipeline(faulty_api_url, tmp_path, database_url)
    query = "SELECT min(first_seen), max(first_seen), min(run_id) FROM compras_rejeitadas"
    ingest(pipeline, rows=500)
    first = count(engine, query)

    ingest(pipeline, rows=500)
    second = count(engine, query)

    assert second[:2] == first[:2]
    assert second[2] != first[2]


def test_the_ui_shows_the_reasons_with_their_counts(
    faulty_api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    result = ingest(a_pipeline(faulty_api_url, tmp_path, database_url), rows=1000)

    (materialization,) = [
        found
        for found in result.asset_materializations_for_node("validated_purchases")
        if found.asset_key == dg.AssetKey("compras_rejeitadas")
    ]
    assert materialization.metadata["dagster/partition_row_count"].value == 10
    reasons = materialization.metadata["reasons"]
    assert isinstance(reasons, dg.TableMetadataValue)
    reported = {str(record.data["reason"]): record.data["rows"] for record in reasons.records}
    with engine.connect() as connection:
        kept = connection.execute(sa.text("SELECT reasons FROM compras_rejeitadas")).scalars().all()
    assert reported == dict(most_common_reasons(kept, 20))


def test_rejected_rows_are_kept_with_their_reasons(
    faulty_api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    result = ingest(a_pipeline(faulty_api_url, tmp_path, database_url), rows=1000)

    assert count(engine, LOADED) == (990, 1, 990)
    with engine.connect() as connection:
        rejected = connection.execute(sa.text("SELECT * FROM compras_rejeitadas ORDER BY linha")).all()
    assert len(rejected) == 10
    for row in rejected:
        assert row.lote == "lote-0001"
        assert row.run_id == result.run_id
        assert all(row.reasons)
        assert row.original
        assert len(row.original_sha256) == 64


def test_too_many_rejects_fail_the_batch_before_commit(
    mock_api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    ingest(a_pipeline(mock_api_url, tmp_path, database_url))
    before = count(engine, EVERYTHING.format("*"))

    with served(create_app(defects=0.5)) as broken_url:
        result = ingest(a_pipeline(broken_url, tmp_path, database_url), refetch=True)

    assert not result.success
    assert count(engine, EVERYTHING.format("*")) == before
    assert count(engine, "SELECT count(*) FROM compras_rejeitadas") == (0,)


def test_a_batch_with_too_many_rejects_explains_itself_and_shows_some(
    database_url: str, tmp_path: Path
) -> None:
    with served(create_app(defects=0.5)) as broken_url:
        result = ingest(a_pipeline(broken_url, tmp_path, database_url))

    failure = failure_of(result)
    assert re.match(
        r"lote-0001: 10 of the first \d+ rows were rejected, which reaches the limit of 5.0% of 200 rows\. .*"
        r"Most common: .*\. See them with `purchase-pipeline rejects --landed lote-0001`\. .*PURCHASE_MAX_REJECTED",
        failure.description or "",
    )
    assert failure.metadata["rejected_rows"].value == len(rows_of(failure.metadata["sample"])) == 10
    first = rows_of(failure.metadata["sample"])[0]
    assert first.keys() == {"row", "reasons", "original"}
    assert str(first["original"]).startswith('{"date_purchase"')


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "lote-0001: /gerar_compra/200 returned 404 Not Found: no such shop"),
        (503, "lote-0001: /gerar_compra/200 returned 503 Service Unavailable."),
    ],
)
def test_a_response_that_is_an_error_explains_itself(
    database_url: str, tmp_path: Path, status: int, message: str
) -> None:
    app = FastAPI()
    app.get("/gerar_compra/{param}")(lambda param: Response("no such shop", status))  # noqa: ARG005

    with served(app) as url:
        pipeline = with_api(a_pipeline(url, tmp_path, database_url), an_api(url))
        failure = failure_of(ingest(pipeline))

    assert failure.description == message
    assert failure.metadata == {}


def test_a_batch_that_has_not_landed_has_a_helpful_error(database_url: str, tmp_path: Path) -> None:
    pipeline = a_pipeline("http://127.0.0.1:9", tmp_path, database_url)

    with pytest.raises(dg.Failure, match=r"lote-0001 has no landed file .* Materialize raw_purchases"):
        pipeline.resolve_job_def("ingest_lote").execute_in_process(
            partition_key="lote-0001",
            asset_selection=[dg.AssetKey("tabela_compras"), dg.AssetKey("compras_rejeitadas")],
        )


def test_a_server_of_plain_json_arrays_is_enough(
    database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    app = FastAPI()

    @app.get("/gerar_compra/{param}")
    def gerar_compra(param: int) -> list[dict[str, object]]:
        return [a_compra(price=float(number)) for number in range(1, param + 1)]

    with served(app) as plain_url:
        result = ingest(a_pipeline(plain_url, tmp_path, database_url), rows=1000)

    assert result.success
    assert count(engine, LOADED) == (1000, 1, 1000)
    assert count(engine, "SELECT sum(price) FROM tabela_compras")[0] == sum(range(1, 1001))
