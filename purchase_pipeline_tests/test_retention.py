"""Old landed files and rejected rows are deleted, and everything else says the same as before."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from mock_api.app import create_app
from purchase_pipeline.feeds.checks import row_numbers_are_gap_free
from purchase_pipeline.feeds.sensors import missing_partitions
from purchase_pipeline.ingest.landing.local import LocalBackend
from purchase_pipeline.ingest.landing.manifest import landed_by, manifest_of
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.ingest.reconciliation import VerifiedPartition, Verifier
from purchase_pipeline.ingest.retention import Pruned, prune_landing, prune_quarantine
from purchase_pipeline.ops.queries import saved_queries
from purchase_pipeline.postgres.locks import lock_slice
from purchase_pipeline.postgres.slices.ledger import recorded_rows
from purchase_pipeline.purchases import PURCHASES
from purchase_pipeline_tests.builders import a_raw_compra
from purchase_pipeline_tests.databases import Databases
from purchase_pipeline_tests.landed import land_lines
from purchase_pipeline_tests.pipelines import TwoBatches, a_feed, a_pipeline, ingest, two_batches
from purchase_pipeline_tests.s3 import a_bucket, an_object_store
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.storing import error_of
from purchase_pipeline_tests.waiting import wait_until

LOTS = ["lote-0001", "lote-0002"]
NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=100)
EARLIER = NOW - timedelta(days=1)


@pytest.fixture(scope="module")
def batches(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoBatches]:
    """Two loaded batches of 500 rows, 490 accepted."""
    with two_batches(databases, tmp_path_factory.mktemp("landing"), rows=500, defects=0.02) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def store() -> Iterator[int]:
    """The port of an object store."""
    with an_object_store() as (_, port):
        yield port


@pytest.fixture
def landing(batches: TwoBatches, engine: sa.Engine, tmp_path: Path) -> Landing:
    """Two batches that a test may change, in a folder."""
    batches.copy(engine, tmp_path)
    return landing_at(str(tmp_path))


@pytest.fixture(params=["folder", "bucket"])
def either(
    request: pytest.FixtureRequest,
    landing: Landing,
    store: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Landing:
    """The same batches, in a folder or in a bucket."""
    if request.param == "folder":
        return landing
    bucket = landing_at(a_bucket(monkeypatch, store))
    for path in tmp_path.iterdir():
        with bucket.backend.staged_file() as file:
            file.write(path.read_bytes())
            bucket.backend.publish(file, path.name)
    return bucket


@pytest.fixture
def ledger(engine: sa.Engine) -> Ledger:
    """The ledger of the feed."""
    return Ledger(engine, PURCHASES)


def requested(engine: sa.Engine) -> list[str | None]:
    """Return the batches that the sensor requests."""
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(
            instance, resources={"purchases_ledger": Ledger(engine, PURCHASES)}
        ) as context,
    ):
        result = missing_partitions(a_feed(*LOTS))(context)
    assert isinstance(result, dg.SensorResult)
    return [request.partition_key for request in result.run_requests or []]


def run_sql(engine: sa.Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(statement))


def answers(engine: sa.Engine) -> dict[str, Any]:
    """Return what everybody says of the batches, without when their rejects were pruned."""
    ledger = Ledger(engine, PURCHASES)
    with engine.connect() as connection:
        query = saved_queries()["reconciliation"].sql
        return {
            "loaded": {key: one._replace(rejects_pruned_at=None) for key, one in ledger.loaded().items()},
            "counted": {key: one._replace(rejects_pruned_at=None) for key, one in ledger.counted().items()},
            "keys": ledger.loaded_keys(1),
            "gaps": row_numbers_are_gap_free(ledger, None).description,
            "saved query": connection.execute(sa.text(query)).all(),
            "sensor": requested(engine),
        }


def test_old_files_are_deleted_and_verification_says_so(either: Landing, ledger: Ledger) -> None:
    sizes, before = either.sizes(), answers(ledger.engine)
    first = either.find("lote-0001")
    assert first is not None

    foretold = list(prune_landing(either, ledger, LATER, dry_run=True))
    assert either.sizes() == sizes
    pruned = list(prune_landing(either, ledger, LATER))

    assert (
        pruned
        == foretold
        == [Pruned(lote, sizes[name]) for lote, name in zip(LOTS, sorted(sizes), strict=True)]
    )
    assert either.sizes() == {}
    assert either.find("lote-0001") is None
    manifest = either.find_pruned("lote-0001")
    assert manifest is not None
    assert manifest.model_copy(update={"pruned_at": None}) == first
    assert answers(ledger.engine) == before
    verifier = Verifier(ledger.engine, PURCHASES, either)
    assert [verified._replace(file_pruned_at=None) for verified in verifier.verify_each(LOTS)] == [
        VerifiedPartition(lote, 490, 10, []) for lote in LOTS
    ]
    assert verifier.verify("lote-0001").file_pruned_at == manifest.pruned_at
    assert list(prune_landing(either, ledger, LATER)) == []


def test_a_pruned_batch_is_fetched_again_when_it_is_reloaded(
    landing: Landing, ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    list(prune_landing(landing, ledger, LATER))
    list(prune_quarantine(ledger, PURCHASES, LATER))

    with served(create_app(defects=0.02)) as url:
        assert ingest(a_pipeline(url, tmp_path, database_url), rows=500).success

    assert landing.find_pruned("lote-0001") is None
    assert ledger.loaded()["lote-0001"].rejects_pruned_at is None
    verified = Verifier(ledger.engine, PURCHASES, landing).verify("lote-0001")
    assert verified == VerifiedPartition("lote-0001", 490, 10, [])


def test_validation_of_a_pruned_file_is_refused_by_name(
    landing: Landing, ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    list(prune_landing(landing, ledger, LATER))
    pipeline = a_pipeline("http://127.0.0.1:9", tmp_path, database_url)

    result = pipeline.resolve_job_def("ingest_lote").execute_in_process(
        partition_key="lote-0001",
        asset_selection=[dg.AssetKey(name) for name in ("tabela_compras", "compras_rejeitadas")],
        raise_on_error=False,
    )

    assert f"The landed file of lote-0001 was pruned on {datetime.now(UTC):%Y-%m-%d}." in error_of(result)
    assert "materialize raw_purchases" in error_of(result)
    assert ledger.counted()["lote-0001"].balanced


def land_again(landing: Landing, engine: sa.Engine) -> None:  # noqa: ARG001
    land_lines(landing, "lote-0001", a_raw_compra())


def refuse(landing: Landing, engine: sa.Engine) -> None:  # noqa: ARG001
    landed = landing.find("lote-0001")
    assert landed is not None
    landing.refuse(landed)


def unload(landing: Landing, engine: sa.Engine) -> None:  # noqa: ARG001
    run_sql(engine, "DELETE FROM slice_ledger WHERE partition = 'lote-0001'")


def wipe(landing: Landing, engine: sa.Engine) -> None:  # noqa: ARG001
    run_sql(engine, "DELETE FROM tabela_compras WHERE lote = 'lote-0001'")


def receive_later(landing: Landing, engine: sa.Engine) -> None:  # noqa: ARG001
    manifest = Path(landing.backend.address_of("lote-0001.json"))
    landed = landed_by(manifest.read_bytes(), "lote-0001")
    assert landed is not None
    manifest.write_bytes(manifest_of(landed.model_copy(update={"received_at": LATER})))


def load_later(landing: Landing, engine: sa.Engine) -> None:  # noqa: ARG001
    run_sql(engine, f"UPDATE slice_ledger SET committed_at = '{LATER}' WHERE partition = 'lote-0001'")  # noqa: S608


@pytest.mark.parametrize("change", [land_again, refuse, unload, wipe, receive_later, load_later])
def test_files_that_are_young_or_not_loaded_are_kept(landing: Landing, ledger: Ledger, change: Any) -> None:  # noqa: ANN401
    change(landing, ledger.engine)

    assert [one.partition for one in prune_landing(landing, ledger, LATER)] == ["lote-0002"]

    assert landing.find("lote-0001") is not None


def test_files_and_rows_of_batches_in_progress_are_kept(landing: Landing, ledger: Ledger) -> None:
    files = prune_landing(landing, ledger, LATER, keep={"lote-0001"})
    rows = prune_quarantine(ledger, PURCHASES, LATER, keep={"lote-0001"})

    assert [one.partition for one in files] == [one.partition for one in rows] == ["lote-0002"]


def test_nothing_is_deleted_before_its_time(landing: Landing, ledger: Ledger) -> None:
    assert list(prune_landing(landing, ledger, EARLIER)) == []
    assert list(prune_quarantine(ledger, PURCHASES, EARLIER)) == []


class KilledBackend(LocalBackend):
    """A folder whose process is killed before a file is removed."""

    def remove(self, name: str) -> None:
        raise KeyboardInterrupt(name)


def test_an_interrupted_deletion_of_a_file_is_continued(
    landing: Landing, ledger: Ledger, tmp_path: Path
) -> None:
    killed = Landing(KilledBackend(tmp_path))

    with pytest.raises(KeyboardInterrupt):
        list(prune_landing(killed, ledger, LATER))

    assert len(landing.sizes()) == len(LOTS)
    assert Verifier(ledger.engine, PURCHASES, landing).verify("lote-0001").differences == []
    assert [one.partition for one in prune_landing(landing, ledger, LATER)] == LOTS
    assert landing.sizes() == {}


def test_old_rejected_rows_are_deleted_and_stay_counted(landing: Landing, ledger: Ledger) -> None:
    before = answers(ledger.engine)

    foretold = list(prune_quarantine(ledger, PURCHASES, LATER, dry_run=True))
    assert answers(ledger.engine) == before
    pruned = list(prune_quarantine(ledger, PURCHASES, LATER))

    assert pruned == foretold == [Pruned(lote, 10) for lote in LOTS]
    with ledger.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM compras_rejeitadas")) == 0
    assert answers(ledger.engine) == before
    assert before["gaps"] == "No gaps or duplicates."
    verified = list(Verifier(ledger.engine, PURCHASES, landing).verify_each(LOTS))
    assert [one._replace(rejects_pruned_at=None) for one in verified] == [
        VerifiedPartition(lote, 490, 10, []) for lote in LOTS
    ]
    assert all(one.rejects_pruned_at for one in verified)
    assert ledger.pruned_rejects() == dict.fromkeys(LOTS, 10)
    assert ledger.pruned_rejects(["lote-0002"]) == {"lote-0002": 10}
    assert list(prune_quarantine(ledger, PURCHASES, LATER)) == []


def test_rows_that_are_lost_after_a_prune_are_still_found(landing: Landing, ledger: Ledger) -> None:
    list(prune_quarantine(ledger, PURCHASES, LATER))
    run_sql(ledger.engine, "DELETE FROM tabela_compras WHERE lote = 'lote-0001' AND linha <= 2")

    assert not ledger.counted()["lote-0001"].balanced
    assert ledger.gaps_and_duplicates()[0][:1] == ("lote-0001",)
    assert "498 rows loaded or rejected, but 500 received" in (
        Verifier(ledger.engine, PURCHASES, landing).verify("lote-0001").differences
    )


def test_a_batch_wiped_after_a_prune_is_loaded_again(landing: Landing, ledger: Ledger) -> None:  # noqa: ARG001
    list(prune_quarantine(ledger, PURCHASES, LATER))

    run_sql(ledger.engine, "DELETE FROM tabela_compras WHERE lote = 'lote-0001'")

    assert requested(ledger.engine) == ["lote-0001"]


def test_a_ledger_of_an_older_version_is_read_and_extended(landing: Landing, ledger: Ledger) -> None:
    run_sql(ledger.engine, "ALTER TABLE slice_ledger DROP COLUMN pruned_at")

    assert answers(ledger.engine)["sensor"] == []
    assert Verifier(ledger.engine, PURCHASES, landing).verify("lote-0001") == VerifiedPartition(
        "lote-0001", 490, 10, []
    )
    assert [one.partition for one in prune_quarantine(ledger, PURCHASES, LATER)] == LOTS


@contextmanager
def being_loaded(engine: sa.Engine, lote: str) -> Iterator[sa.Connection]:
    """Hold the lock that a load of a batch's rejected rows holds."""
    with engine.begin() as connection:
        lock_slice(connection, "public", "compras_rejeitadas", lote)
        yield connection


@pytest.mark.usefixtures("landing")
def test_rows_of_a_load_that_commits_meanwhile_are_kept(ledger: Ledger, engine: sa.Engine) -> None:
    with ThreadPoolExecutor() as pool:
        with being_loaded(engine, "lote-0001") as loading:
            pruning = pool.submit(lambda: list(prune_quarantine(ledger, PURCHASES, LATER)))
            wait_until(lambda: waiting(engine))
            loading.execute(
                sa.text(f"UPDATE slice_ledger SET committed_at = '{LATER}' WHERE partition = 'lote-0001'")  # noqa: S608
            )
        assert pruning.result() == [Pruned("lote-0002", 10)]

    assert ledger.counted()["lote-0001"].rejected == 10


def waiting(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        query = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
        return bool(connection.scalar(sa.text(query)))


@pytest.mark.usefixtures("landing")
def test_pruned_rows_are_not_counted_as_rows_of_the_table(ledger: Ledger, engine: sa.Engine) -> None:
    list(prune_quarantine(ledger, PURCHASES, LATER, keep={"lote-0002"}))

    with engine.connect() as connection:
        oid = connection.scalar(sa.text("SELECT 'compras_rejeitadas'::regclass::oid"))
        known = recorded_rows(connection, "public", "compras_rejeitadas", (int(oid or 0), ""), ["lote-0001"])

    assert (known.entries, known.table, known.slices) == (2, 10, 0)
