"""Queries on the quarantine by row, reason, field and batch."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from mock_api.app import create_app
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.quarantine import Grouping, LandedRejects, Quarantine, RejectGroup
from purchase_pipeline.purchases import COMPRAS_REJEITADAS, PURCHASES
from purchase_pipeline_tests.pipelines import a_pipeline, ingest
from purchase_pipeline_tests.serving import served

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def a_reject(lote: str, linha: int, *reasons: str, fields: list[str]) -> dict[str, object]:
    return {
        "lote": lote,
        "linha": linha,
        "fields": fields,
        "reasons": list(reasons),
        "original": "{}",
        "original_sha256": "44136f",
        "first_seen": NOON,
        "run_id": "a run",
    }


NEGATIVE = "price: Input should be greater than 0"
REJECTED = [
    a_reject("lote-0001", 7, f"{NEGATIVE} (saw -1.0)", fields=["price"]),
    a_reject("lote-0001", 9, "job: Field required", f"{NEGATIVE} (saw -2.0)", fields=["job", "price"]),
    a_reject("lote-0002", 3, f"{NEGATIVE} (saw -3.0)", fields=["price"]),
    a_reject("lote-0002", 4, "Invalid JSON: EOF while parsing a string at line 1 column 7", fields=[]),
    a_reject("lote-0002", 5, "Invalid JSON: EOF while parsing a string at line 1 column 9", fields=[]),
]


@pytest.fixture
def rejects(engine: sa.Engine) -> Quarantine:
    """Five rejected rows."""
    with engine.begin() as connection:
        COMPRAS_REJEITADAS.create(connection)
        connection.execute(COMPRAS_REJEITADAS.insert(), REJECTED)
    return Quarantine(engine, PURCHASES)


def test_rows_are_ordered_by_batch_and_row_number(rejects: Quarantine, engine: sa.Engine) -> None:
    assert rejects.rows() == REJECTED
    assert Quarantine(engine, PURCHASES, "lote-0002").rows() == REJECTED[2:]
    assert rejects.rows(limit=1) == REJECTED[:1]
    of_partitions = [Quarantine(engine, PURCHASES, key).count() for key in ("lote-0001", "lote-0003")]
    assert [rejects.count(), *of_partitions] == [5, 2, 0]


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        (
            "reason",
            [
                RejectGroup(NEGATIVE, 3, 2, "lote-0001 linha 7"),
                RejectGroup("Invalid JSON: EOF while parsing a string", 2, 1, "lote-0002 linha 4"),
                RejectGroup("job: Field required", 1, 1, "lote-0001 linha 9"),
            ],
        ),
        (
            "field",
            [
                RejectGroup("price", 3, 2, "lote-0001 linha 7"),
                RejectGroup("(the whole row)", 2, 1, "lote-0002 linha 4"),
                RejectGroup("job", 1, 1, "lote-0001 linha 9"),
            ],
        ),
        (
            "partition",
            [
                RejectGroup("lote-0002", 3, 1, "lote-0002 linha 3"),
                RejectGroup("lote-0001", 2, 1, "lote-0001 linha 7"),
            ],
        ),
    ],
)
def test_groups_are_ordered_by_size(rejects: Quarantine, by: Grouping, groups: list[RejectGroup]) -> None:
    assert rejects.grouped(by) == groups


def test_groups_can_be_limited_to_a_batch(rejects: Quarantine, engine: sa.Engine) -> None:
    assert rejects.count() == len(REJECTED)
    assert Quarantine(engine, PURCHASES, "lote-0001").grouped("reason") == [
        RejectGroup(NEGATIVE, 2, 1, "lote-0001 linha 7"),
        RejectGroup("job: Field required", 1, 1, "lote-0001 linha 9"),
    ]


GROUPINGS: tuple[Grouping, ...] = ("reason", "field", "partition")
OF_A_RUN = {"first_seen", "run_id"}


def test_a_loaded_batch_has_the_rejects_of_its_landed_file(
    database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    with served(create_app(defects=0.04)) as url:
        assert ingest(a_pipeline(url, tmp_path, database_url), rows=1_000).success

    stored, landed = Quarantine(engine, PURCHASES), _landed(tmp_path)

    rows = [{name: row[name] for name in row.keys() - OF_A_RUN} for row in stored.rows()]
    assert landed.rows() == rows
    assert landed.rows(limit=3) == rows[:3]
    assert landed.count() == stored.count() == len(rows) > 20
    for by in GROUPINGS:
        assert sorted(landed.grouped(by)) == sorted(stored.grouped(by))
        counts = [group.rows for group in landed.grouped(by)]
        assert counts == sorted(counts, reverse=True)


def test_a_batch_that_was_not_loaded_has_rejects_to_its_last_row(
    database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    with served(create_app(defects=0.5)) as url:
        assert not ingest(a_pipeline(url, tmp_path, database_url)).success

    landed = _landed(tmp_path)

    assert Quarantine(engine, PURCHASES).count() == 0
    assert landed.count() == 100
    assert int(landed.rows()[-1]["linha"]) > 190


def _landed(folder: Path) -> LandedRejects:
    landing = landing_at(str(folder))
    landed = landing.find("lote-0001")
    assert landed is not None
    return LandedRejects(landed, landing, PURCHASES)


def test_an_empty_database_has_no_rejects(engine: sa.Engine) -> None:
    rejects = Quarantine(engine, PURCHASES)

    assert (rejects.rows(), rejects.count(), rejects.grouped("reason")) == ([], 0, [])
