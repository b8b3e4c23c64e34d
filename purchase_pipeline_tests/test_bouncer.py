"""Behind PgBouncer, more clients than server connections: nothing is lost, left behind, or waited for in a circle."""

import os
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Lock

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from mock_api.app import create_app
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.reconciliation import VerifiedPartition, Verifier
from purchase_pipeline.postgres import RowStream
from purchase_pipeline.postgres.connections import engine_for, transaction
from purchase_pipeline.postgres.errors import UnstorableValueError
from purchase_pipeline.postgres.locks import lock_slice
from purchase_pipeline.purchases import PURCHASES
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import dagster_storage_url
from purchase_pipeline_tests.bouncer import Bouncer, a_bouncer
from purchase_pipeline_tests.direct_io import DirectIOManager, Place
from purchase_pipeline_tests.person import Person
from purchase_pipeline_tests.pipelines import a_pipeline, ingest, sum_up, update_marts
from purchase_pipeline_tests.serving import served

pytestmark = pytest.mark.proof  # of the database, whatever the Python

SHOPS = [f"shop {number}" for number in range(8)]
SALES = sa.Table(
    "any",
    sa.MetaData(),
    sa.Column("shop", sa.Text, nullable=False),
    sa.Column("writer", sa.Integer, nullable=False),
)
Row = tuple[object, ...]


@pytest.fixture(scope="module")
def bouncer(server_url: str) -> Iterator[Bouncer]:
    """Two connections to the server for each database."""
    with a_bouncer(server_url, default_pool_size=2) as bouncer:
        yield bouncer


@pytest.fixture
def narrow(server_url: str) -> Iterator[Bouncer]:
    """One connection alone: whoever asks for a second one, holding it, waits until it is refused."""
    with a_bouncer(server_url, default_pool_size=1, query_wait_timeout=20) as bouncer:
        yield bouncer


@pytest.fixture
def url(bouncer: Bouncer, database_url: str) -> str:
    """The test's database, by way of the bouncer."""
    return bouncer.url(database_url)


@pytest.fixture
def through(url: str) -> Iterator[sa.Engine]:
    """One client, whose connection is kept."""
    engine = engine_for(url, keeps_connection=True)
    yield engine
    engine.dispose()


@pytest.fixture
def managers(url: str) -> list[DirectIOManager]:
    """Eight clients, each with a connection of its own that it keeps."""
    return [DirectIOManager(url) for _ in SHOPS]


def of_shop(shop: str) -> Place:
    partitions = dg.StaticPartitionsDefinition(SHOPS)
    return Place(key=["sales"], metadata={"partition_expr": "shop"}, partitions=partitions, first=shop)


def sold(shop: str, writer: int, rows: int = 50) -> list[Row]:
    return [(shop, writer)] * rows


def stream(batches: Iterator[Sequence[Row]] | list[list[Row]]) -> RowStream:
    return RowStream(columns=SALES.columns.keys(), batches=batches, table=SALES)


def stored(engine: sa.Engine) -> Counter[Row]:
    with engine.connect() as connection:
        return Counter(tuple(row) for row in connection.execute(sa.text("TABLE sales")))


def server_connections(engine: sa.Engine) -> int:
    count = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"  # not an autovacuum worker
    )
    with engine.connect() as connection:
        return int(connection.scalar(sa.text(count)) or 0)


def test_writers_of_one_slice_take_turns(managers: list[DirectIOManager], engine: sa.Engine) -> None:
    alone = Lock()

    def slowly(writer: int) -> Iterator[Sequence[Row]]:
        yield sold("shop 0", writer, 25)  # computed before the writer's turn
        assert alone.acquire(blocking=False), "two writers are in the slice"
        yield sold("shop 0", writer, 25)
        alone.release()

    def write(writer: int) -> None:
        for _ in range(5):
            managers[writer].write(of_shop("shop 0"), stream(slowly(writer)), run_id=f"by {writer}")

    with ThreadPoolExecutor(len(managers)) as pool:
        list(pool.map(write, range(len(managers))))

    ((row, count),) = stored(engine).items()
    with engine.connect() as connection:
        noted = connection.execute(sa.text("SELECT run_id, rows FROM slice_ledger")).all()
    assert (count, noted) == (50, [(f"by {row[1]}", 50)])
    assert server_connections(engine) <= 2


def test_writers_of_different_slices_work_side_by_side(
    managers: list[DirectIOManager], engine: sa.Engine
) -> None:
    managers[0].write(of_shop(SHOPS[0]), stream([sold(SHOPS[0], 0)]))
    pair = Barrier(2, timeout=60)  # passed by two who are both midway: there are as many connections
    left, met, order = dict.fromkeys(range(len(SHOPS)), 5), list[int](), Lock()

    def has_partner(writer: int) -> bool:
        """Return whether another waits, or has yet to come: the last writes may all be one writer's."""
        with order:
            left[writer] -= 1
            partner = len(met) % 2 == 1 or any(count for one, count in left.items() if one != writer)
            if partner:
                met.append(writer)
            return partner

    def meeting(writer: int) -> Iterator[Sequence[Row]]:
        yield sold(SHOPS[writer], writer, 25)
        if has_partner(writer):
            pair.wait()
        yield sold(SHOPS[writer], writer, 25)

    def write(writer: int) -> None:
        for _ in range(5):
            managers[writer].write(of_shop(SHOPS[writer]), stream(meeting(writer)))

    with ThreadPoolExecutor(len(managers)) as pool:
        list(pool.map(write, range(len(managers))))

    assert len(met) >= len(SHOPS)
    assert stored(engine) == Counter({(shop, writer): 50 for writer, shop in enumerate(SHOPS)})
    assert server_connections(engine) <= 2
    for writer, shop in enumerate(SHOPS):
        assert managers[writer].read(of_shop(shop)) == sold(shop, writer)


def test_a_write_that_fails_midway_leaves_what_was_there(
    managers: list[DirectIOManager], engine: sa.Engine
) -> None:
    before = sold("shop 0", 1)
    managers[0].write(of_shop("shop 0"), stream([before]))

    def breaks_off() -> Iterator[Sequence[Row]]:
        yield sold("shop 0", 2)
        raise RuntimeError("the source broke off")

    for manager in managers[:3]:
        with pytest.raises(RuntimeError, match="the source broke off"):
            manager.write(of_shop("shop 0"), stream(breaks_off()))
        with pytest.raises(UnstorableValueError):
            manager.write(of_shop("shop 0"), stream([[*sold("shop 0", 3), ("shop 0", None)]]))

    assert stored(engine) == Counter(before)
    assert [manager.read(of_shop("shop 0")) for manager in managers] == [before] * len(managers)


def test_a_writer_that_vanishes_holds_nobody_up(
    managers: list[DirectIOManager], through: sa.Engine, engine: sa.Engine
) -> None:
    vanishing = through.connect()
    lock_slice(vanishing, "public", "sales", "shop 0")
    driver = vanishing.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with socket.socket(fileno=os.dup(driver.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)

    managers[0].write(of_shop("shop 0"), stream([sold("shop 0", 1)]))

    assert stored(engine) == Counter(sold("shop 0", 1))
    vanishing.invalidate()


def test_nothing_is_prepared_where_the_next_transaction_would_not_find_it(
    through: sa.Engine,
) -> None:
    for _ in range(20):
        with transaction(through) as connection:
            connection.execute(sa.text("SELECT 1"))
            prepared = connection.scalar(sa.text("SELECT count(*) FROM pg_prepared_statements"))
            assert prepared == 0


def test_a_transaction_has_its_settings_and_leaves_none(
    through: sa.Engine, url: str, database_url: str
) -> None:
    stored_values = (datetime.max.replace(tzinfo=UTC), timedelta(days=1, seconds=1), 0.1 + 0.2, "10min")
    name = sa.make_url(database_url).database
    with psycopg.connect(url, autocommit=True) as stranger:
        for setting in ("TimeZone = 'Asia/Tokyo'", "IntervalStyle = 'iso_8601'", "extra_float_digits = 0"):
            stranger.execute(f"ALTER DATABASE {name} SET {setting}")
            stranger.execute(f"SET {setting}")

    query = "SELECT CAST(:a AS TIMESTAMPTZ), CAST(:b AS INTERVAL), CAST(:c AS FLOAT8), current_setting('lock_timeout')"
    for _ in range(2):
        with transaction(through) as connection:
            read = connection.execute(sa.text(query), dict(zip("abc", stored_values[:3], strict=True))).one()
        assert tuple(read) == stored_values
        with psycopg.connect(url, autocommit=True) as stranger:
            assert stranger.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_a_statement_timeout_that_a_session_sets_stays_with_nobody(url: str) -> None:
    """Dagster's webserver sets one on each of its connections."""
    with psycopg.connect(url, autocommit=True) as webserver:
        webserver.execute("SET statement_timeout = 15000")

        with psycopg.connect(url, autocommit=True) as stranger:
            assert stranger.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_dagsters_storage_is_sent_no_options_that_the_bouncer_refuses(
    url: str, database_url: str, tmp_path: Path
) -> None:
    def storage(given: str) -> sa.URL:
        secret = SecretStr(given)
        return sa.make_url(
            dagster_storage_url(Settings(home=tmp_path, database_url=secret, dagster_postgres_url=secret))
        )

    assert "options" not in storage(url).query
    assert "statement_timeout" in str(storage(database_url).query["options"])


def test_the_whole_pipeline_runs_on_one_connection(
    narrow: Bouncer, database_url: str, tmp_path: Path
) -> None:
    url, lots = narrow.url(database_url), ["lote-0001", "lote-0002"]
    with served(create_app(defects=0.02)) as api_url:
        pipeline = a_pipeline(api_url, tmp_path, url)
        for _ in range(2):  # into an empty table, then over old rows and rejects
            assert all(ingest(pipeline, lote, rows=500, refetch=True).success for lote in lots)
        assert sum_up(pipeline, lots[0], lots[1]).success
        assert update_marts(pipeline).success

    verifier = Verifier(engine_for(url), PURCHASES, landing_at(str(tmp_path)))
    assert [verifier.verify(lote) for lote in verifier.partitions()] == [
        VerifiedPartition(lote, 490, 10, []) for lote in lots
    ]


def test_a_campaign_runs_by_way_of_the_bouncer_dagsters_storage_too(
    narrow: Bouncer, server_url: str, database_url: str, person: Person
) -> None:
    # Dagster's storage asks for a second connection while it holds one: it needs more of them than there are runs.
    with a_bouncer(server_url) as as_recommended:
        given = {
            "DATABASE_URL": narrow.url(database_url),
            "DAGSTER_POSTGRES_URL": as_recommended.url(database_url),
        }
        up = person.up("--lots", "3", "--rows", "500", "--defects", "0.02", **given)
        verify = person.run("verify", **given)

    assert up.returncode == 0, up.stdout + up.stderr
    assert verify.returncode == 0, verify.stdout + verify.stderr
    assert "(1,470 loaded, 30 rejected): no differences" in " ".join(verify.stdout.split())
