"""Which batches the ledger reports as loaded, and in which order."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa

from purchase_pipeline.feeds.backlog import Backlog, NewCommits
from purchase_pipeline.ingest.ledger import LEDGER, Ledger
from purchase_pipeline.purchases import COMPRAS_REJEITADAS, PURCHASES, TABELA_COMPRAS
from purchase_pipeline_tests.databases import Databases
from purchase_pipeline_tests.pipelines import TwoBatches, a_feed, two_batches
from purchase_pipeline_tests.waiting import wait_until

pytestmark = pytest.mark.compatibility

LOTS = ["lote-0001", "lote-0002"]


@pytest.fixture(scope="module")
def batches(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoBatches]:
    """Two loaded batches, each with rejected rows."""
    with two_batches(databases, tmp_path_factory.mktemp("landing"), rows=200, defects=0.02) as loaded:
        yield loaded


@pytest.fixture
def ledger(batches: TwoBatches, engine: sa.Engine, tmp_path: Path) -> Ledger:
    """The ledger of two batches that a test may change."""
    batches.copy(engine, tmp_path)
    return Ledger(engine, PURCHASES)


def change(engine: sa.Engine, statement: sa.Update | sa.Delete) -> None:
    with engine.begin() as connection:
        assert connection.execute(statement).rowcount


def committed_earlier(lote: str, earlier: timedelta) -> sa.Update:
    entries = sa.update(LEDGER).where(LEDGER.c.partition == lote)
    return entries.values(committed_at=LEDGER.c.committed_at - earlier)


def new_commits(ledger: Ledger, known: str) -> list[str]:
    """Poll new commits with one batch known, and return their order."""
    with dg.DagsterInstance.ephemeral() as instance:
        commits = NewCommits(Backlog(a_feed(*LOTS), ledger, instance), {known: ledger.loaded()[known]})
        arrived = [lot.key for lot in commits.poll()]
        assert list(commits.poll()) == []
    assert [*commits.missing] == [lote for lote in LOTS if lote not in {known, *arrived}]
    return arrived


@pytest.mark.parametrize("table", [TABELA_COMPRAS, COMPRAS_REJEITADAS])
def test_a_batch_that_is_wiped_from_either_table_is_not_loaded(
    ledger: Ledger, engine: sa.Engine, table: sa.Table
) -> None:
    change(engine, sa.delete(table).where(table.c.lote == "lote-0001"))

    assert set(ledger.loaded_keys(checked_ratio=1)) == {"lote-0002"}
    assert list(ledger.loaded()) == ["lote-0002"]


def test_loaded_and_counted_are_the_same_batches(ledger: Ledger, engine: sa.Engine) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        both, second = (
            Backlog(a_feed(*LOTS), ledger, instance),
            Backlog(a_feed("lote-0002", "lote-0003"), ledger, instance),
        )
        assert both.loaded().keys() == both.counted().keys() == set(LOTS)
        assert second.loaded().keys() == second.counted().keys() == {"lote-0002"}
        assert (both.beyond_target(), second.beyond_target()) == ([], ["lote-0001"])

        change(engine, sa.delete(TABELA_COMPRAS).where(TABELA_COMPRAS.c.lote == "lote-0001"))
        assert both.loaded().keys() == both.counted().keys() == {"lote-0002"}
        assert second.beyond_target() == []

        some = sa.and_(TABELA_COMPRAS.c.lote == "lote-0002", TABELA_COMPRAS.c.linha <= 100)
        change(engine, sa.delete(TABELA_COMPRAS).where(some))
        assert both.loaded().keys() == both.counted().keys() == {"lote-0002"}
        assert [lot.balanced for lot in both.counted().values()] == [False]


def test_a_wiped_batch_is_found_eventually_with_a_share(ledger: Ledger, engine: sa.Engine) -> None:
    change(engine, sa.delete(TABELA_COMPRAS).where(TABELA_COMPRAS.c.lote == "lote-0001"))

    looks = [set(ledger.loaded_keys(checked_ratio=0.5)) for _ in range(40)]

    assert {"lote-0002"} in looks
    assert all(names - {"lote-0001"} == {"lote-0002"} for names in looks)
    assert set(ledger.loaded_keys(checked_ratio=0)) == set(LOTS)


def scans(engine: sa.Engine) -> tuple[int, int]:
    """Return how often the table of accepted rows was read as a whole, and by an index."""
    engine.dispose()  # a session counts at its end
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    others = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    counted = "SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = %s"
    with psycopg.connect(url, autocommit=True) as connection:
        wait_until(lambda: not connection.execute(others).rowcount)
        ((whole, by_index),) = connection.execute(counted, [TABELA_COMPRAS.name]).fetchall()
    return whole, by_index


def test_the_rows_of_few_batches_are_looked_for_in_an_index(ledger: Ledger, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ANALYZE {TABELA_COMPRAS.name}")
    whole, by_index = scans(engine)

    assert set(ledger.loaded()) == set(ledger.loaded_keys(checked_ratio=1)) == set(LOTS)

    assert scans(engine) == (whole, by_index + 2 * len(LOTS))


def test_slices_of_different_raw_files_are_not_a_loaded_batch(ledger: Ledger, engine: sa.Engine) -> None:
    a_slice = sa.and_(LEDGER.c.asset == COMPRAS_REJEITADAS.name, LEDGER.c.partition == "lote-0001")
    change(engine, sa.update(LEDGER).where(a_slice).values(digest="another"))

    assert set(ledger.loaded_keys(checked_ratio=1)) == {"lote-0002"}
    assert new_commits(ledger, known="lote-0002") == []


def test_commits_are_polled_in_order(ledger: Ledger, engine: sa.Engine) -> None:
    change(engine, committed_earlier("lote-0002", timedelta(days=1)))

    with dg.DagsterInstance.ephemeral() as instance:
        commits = NewCommits(Backlog(a_feed(*LOTS), ledger, instance), known={})
        seen = [(lot.key, commits.loaded, [*commits.missing]) for lot in commits.poll()]

    assert seen == [("lote-0002", 1, ["lote-0001"]), ("lote-0001", 2, [])]


def test_a_late_visible_commit_is_polled(ledger: Ledger, engine: sa.Engine) -> None:
    change(engine, committed_earlier("lote-0001", timedelta(minutes=30)))

    assert new_commits(ledger, known="lote-0002") == ["lote-0001"]


def test_old_commits_are_not_read_again(ledger: Ledger, engine: sa.Engine) -> None:
    change(engine, committed_earlier("lote-0001", timedelta(hours=2)))

    assert new_commits(ledger, known="lote-0002") == []


def test_a_clock_set_back_hides_no_batch(ledger: Ledger, engine: sa.Engine) -> None:
    change(engine, committed_earlier("lote-0002", -timedelta(days=1)))

    assert new_commits(ledger, known="lote-0002") == ["lote-0001"]


def test_without_tables_nothing_is_loaded(engine: sa.Engine) -> None:
    ledger = Ledger(engine, PURCHASES)

    assert (set(ledger.loaded_keys(checked_ratio=1)), ledger.loaded()) == (set(), {})
