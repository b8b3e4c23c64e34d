"""Verification: no differences after a load, and a sentence for each manipulation."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from purchase_pipeline.ingest.formats import NDJSON
from purchase_pipeline.ingest.landing.manifest import manifest_of
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.reconciliation import MissingTableError, VerifiedPartition, Verifier
from purchase_pipeline.ingest.sources.request import Page
from purchase_pipeline.purchases import PURCHASES
from purchase_pipeline_tests.builders import a_compra, a_raw_compra
from purchase_pipeline_tests.databases import Databases
from purchase_pipeline_tests.landed import land_lines, land_page
from purchase_pipeline_tests.pipelines import TwoBatches, a_pipeline, ingest, two_batches
from purchase_pipeline_tests.serving import served


@pytest.fixture(scope="module")
def batches(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoBatches]:
    """Two loaded batches of 500 rows, 490 accepted."""
    with two_batches(databases, tmp_path_factory.mktemp("landing"), rows=500, defects=0.02) as loaded:
        yield loaded


@pytest.fixture
def landing(batches: TwoBatches, engine: sa.Engine, tmp_path: Path) -> Landing:
    """Two batches that a test may change."""
    batches.copy(engine, tmp_path)
    return landing_at(str(tmp_path))


def harm(engine: sa.Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(statement))


def test_unchanged_batches_have_no_differences(landing: Landing, engine: sa.Engine) -> None:
    verifier = Verifier(engine, PURCHASES, landing)

    assert verifier.partitions() == ["lote-0001", "lote-0002"]
    assert [verifier.verify(lote) for lote in verifier.partitions()] == [
        VerifiedPartition("lote-0001", 490, 10, []),
        VerifiedPartition("lote-0002", 490, 10, []),
    ]


def test_an_empty_database_has_no_batches(engine: sa.Engine, tmp_path: Path) -> None:
    assert Verifier(engine, PURCHASES, landing_at(str(tmp_path))).partitions() == []


def test_a_dropped_table_is_named(landing: Landing, engine: sa.Engine) -> None:
    harm(engine, "DROP TABLE tabela_compras")

    with pytest.raises(MissingTableError, match=r"Missing tables: tabela_compras.*purchase-pipeline ingest"):
        Verifier(engine, PURCHASES, landing).partitions()


@pytest.mark.parametrize(
    ("statement", "differences"),
    [
        (
            "UPDATE tabela_compras SET price = price + 1 WHERE lote = 'lote-0001' AND linha <= 2",
            ["tabela_compras: 2 rows different from the file (linha 1, 2)"],
        ),
        (
            "DELETE FROM tabela_compras WHERE lote = 'lote-0001' AND linha <= 2",
            [
                "tabela_compras has 488 rows, but 490 in the ledger",
                "498 rows loaded or rejected, but 500 received",
                "tabela_compras: 2 rows missing (linha 1, 2)",
            ],
        ),
        (
            """ALTER TABLE tabela_compras DROP CONSTRAINT tabela_compras_pkey;
            INSERT INTO tabela_compras OVERRIDING SYSTEM VALUE
            SELECT * FROM tabela_compras WHERE lote = 'lote-0001' AND linha = 1""",
            [
                "tabela_compras has 491 rows, but 490 in the ledger",
                "501 rows loaded or rejected, but 500 received",
                "tabela_compras: 1 row duplicated or not in the file (linha 1)",
            ],
        ),
        (
            "UPDATE tabela_compras SET linha = linha + 10000 WHERE lote = 'lote-0001' AND linha = 1",
            [
                "tabela_compras: 1 row missing (linha 1)",
                "tabela_compras: 1 row duplicated or not in the file (linha 10001)",
            ],
        ),
        (
            """UPDATE tabela_compras
            SET birthday_client = (to_char(birthday_client, 'YYYY-MM-DD') || ' BC')::date
            WHERE lote = 'lote-0001' AND linha = 1""",
            ["tabela_compras: 1 row different from the file (linha 1)"],
        ),
        (
            "UPDATE tabela_compras SET birthday_client = 'infinity' WHERE lote = 'lote-0001' AND linha = 1",
            ["tabela_compras: 1 row different from the file (linha 1)"],
        ),
        *(
            (
                f"UPDATE compras_rejeitadas SET {change} WHERE lote = 'lote-0001'",  # noqa: S608
                ["compras_rejeitadas: 10 rows different from the file (linha {first_rejects}, ...)"],
            )
            for change in (
                "original_sha256 = 'x'",
                "reasons = array_append(reasons, 'another')",
                "fields = array_append(fields, 'price')",
                "original = original || ' '",
            )
        ),
        (
            "DELETE FROM slice_ledger WHERE partition = 'lote-0001' AND asset = 'tabela_compras'",
            ["tabela_compras has 490 rows, but no entry in the ledger"],
        ),
        (
            "UPDATE slice_ledger SET digest = 'sha256:0' WHERE partition = 'lote-0001' AND asset = 'tabela_compras'",
            ["tabela_compras was loaded from sha256:0, but the landed file is {digest}"],
        ),
        (
            "UPDATE slice_ledger SET source_rows = 499 WHERE partition = 'lote-0001'",
            [
                "500 rows loaded or rejected, but 499 received",
                "compras_rejeitadas was loaded from 499 rows, but the landed file has 500",
                "tabela_compras was loaded from 499 rows, but the landed file has 500",
            ],
        ),
    ],
)
def test_changes_in_the_database_are_found(
    landing: Landing, engine: sa.Engine, statement: str, differences: list[str]
) -> None:
    with engine.connect() as connection:
        first = connection.scalars(
            sa.text("SELECT linha FROM compras_rejeitadas WHERE lote = 'lote-0001' ORDER BY 1 LIMIT 5")
        ).all()
    landed = landing.find("lote-0001")
    assert landed is not None

    harm(engine, statement)

    verifier = Verifier(engine, PURCHASES, landing)
    facts = {"first_rejects": ", ".join(map(str, first)), "digest": landed.digest}
    assert sorted(verifier.verify("lote-0001").differences) == sorted(
        each.format_map(facts) for each in differences
    )
    assert verifier.verify("lote-0002").differences == []


def test_reasons_in_the_words_of_an_earlier_version_are_counted_and_replayed(
    landing: Landing, engine: sa.Engine
) -> None:
    landed = landing.find("lote-0001")
    assert landed is not None
    verifier = Verifier(engine, PURCHASES, landing)
    assert verifier.is_stored_as_validated(landed)

    harm(
        engine,
        "UPDATE compras_rejeitadas SET reasons = array_replace(reasons, reasons[1], upper(reasons[1])) "
        "WHERE lote = 'lote-0001'",
    )

    assert verifier.verify("lote-0001") == VerifiedPartition("lote-0001", 490, 10, [], reworded=10)
    assert not verifier.is_stored_as_validated(landed)


def lose(landing: Landing) -> None:
    Path(landing.backend.address_of("lote-0001.json")).unlink()


def land_anew(landing: Landing) -> None:
    land_page(landing, "lote-0001", Page(NDJSON, [a_raw_compra() + b"\n"]))


def cut(landing: Landing) -> None:
    (file,) = Path(str(landing.backend)).glob("lote-0001.*.zst")
    file.write_bytes(file.read_bytes()[:1_000])


@pytest.mark.parametrize(
    ("harm_file", "difference"),
    [
        (lose, "no landed file in"),
        (land_anew, "but the landed file is sha256:"),
        (cut, "it is too short"),
    ],
)
def test_changes_of_the_file_are_found(
    landing: Landing, engine: sa.Engine, harm_file: Callable[[Landing], None], difference: str
) -> None:
    harm_file(landing)

    verifier = Verifier(engine, PURCHASES, landing)
    assert any(difference in found for found in verifier.verify("lote-0001").differences)
    assert verifier.verify("lote-0002").differences == []


def test_a_batch_without_ledger_and_file_is_found(landing: Landing, engine: sa.Engine) -> None:
    harm(engine, "UPDATE tabela_compras SET lote = 'lote-0009' WHERE lote = 'lote-0001' AND linha = 1")

    verifier = Verifier(engine, PURCHASES, landing)

    assert verifier.partitions() == ["lote-0001", "lote-0002", "lote-0009"]
    assert verifier.verify("lote-0009").differences == [
        "tabela_compras has 1 row, but no entry in the ledger",
        "compras_rejeitadas has 0 rows, but no entry in the ledger",
        f"no landed file in {landing.backend}, or a damaged manifest lote-0009.json",
    ]


def test_a_batch_loaded_during_the_verification_has_no_differences(
    landing: Landing, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    verified = Verifier(engine, PURCHASES, landing).verify_each(["lote-0001", "lote-0002"])
    assert next(verified) == VerifiedPartition("lote-0001", 490, 10, [])

    land_lines(landing, "lote-0002", *[a_raw_compra()] * 200)
    assert ingest(a_pipeline("http://127.0.0.1:9", tmp_path, database_url), "lote-0002").success

    assert list(verified) == [VerifiedPartition("lote-0002", 200, 0, [])]


def test_a_batch_is_stored_as_validated_until_validation_changes(landing: Landing, engine: sa.Engine) -> None:
    verifier, landed = Verifier(engine, PURCHASES, landing), landing.find("lote-0001")
    assert landed is not None
    assert verifier.is_stored_as_validated(landed)

    # Received on a day on which many purchases are in the future.
    earlier = landed.received_at - timedelta(days=700)
    assert not verifier.is_stored_as_validated(landed.model_copy(update={"received_at": earlier}))


@pytest.mark.parametrize("clock", ["2001-01-01T12:00:00+00", "2099-12-31T23:59:59+00"])
def test_rows_are_verified_with_the_day_of_their_receipt(
    database_url: str, engine: sa.Engine, tmp_path: Path, clock: str
) -> None:
    app, today = FastAPI(), datetime.now(UTC).date()

    @app.get("/gerar_compra/{param}")
    def gerar_compra(param: int) -> list[dict[str, object]]:
        days = [today, *[today + timedelta(days=1)] * 2, *[today] * (param - 3)]
        return [a_compra(date_purchase=str(day)) for day in days]

    with served(app) as url:
        assert ingest(a_pipeline(url, tmp_path, database_url), rows=100).success
    harm(engine, f"UPDATE slice_ledger SET committed_at = '{clock}'")  # noqa: S608

    assert Verifier(engine, PURCHASES, landing_at(str(tmp_path))).verify("lote-0001") == VerifiedPartition(
        "lote-0001", 98, 2, []
    )


def test_a_batch_landed_before_midnight_is_validated_with_that_day(
    landing: Landing, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    rows = [a_raw_compra()] * 99 + [a_raw_compra(date_purchase=f'"{tomorrow}"')]
    landed = land_lines(landing, "lote-0001", *rows)
    two_days_ago = landed.model_copy(update={"received_at": landed.received_at - timedelta(days=2)})
    in_two_days = landed.model_copy(update={"received_at": landed.received_at + timedelta(days=2)})

    counts = []
    for moment in (two_days_ago, in_two_days):
        Path(landing.backend.address_of("lote-0001.json")).write_bytes(manifest_of(moment))
        assert ingest(a_pipeline("http://127.0.0.1:9", tmp_path, database_url), rows=100).success
        found = Verifier(engine, PURCHASES, landing).verify("lote-0001")
        counts.append((found.loaded, found.rejected, found.differences))

    assert counts == [(99, 1, []), (100, 0, [])]
