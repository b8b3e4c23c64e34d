"""Connections: URLs in any spelling, and settings of the server and the role."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any
from uuid import uuid4

import polars as pl
import psycopg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from mock_api.app import create_app
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.ingest.reconciliation import Verifier
from purchase_pipeline.postgres import Batches
from purchase_pipeline.postgres.connections import engine_for, transaction
from purchase_pipeline.purchases import PURCHASES
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import dagster_storage_url
from purchase_pipeline.stack.failover import Failover
from purchase_pipeline_tests.pipelines import a_pipeline, ingest
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.storing import Store, error_of


@pytest.mark.parametrize("spelling", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_spelling_of_the_url_means_psycopg_3(spelling: str, database_url: str) -> None:
    url = database_url.replace("postgresql", spelling, 1)

    with engine_for(url).connect() as connection:
        assert isinstance(connection.connection.driver_connection, psycopg.Connection)
        assert connection.scalar(sa.text("SELECT 1")) == 1


def test_a_connection_never_waits_without_an_end() -> None:
    engine = engine_for("postgresql://me@db.example.com/shop")

    assert engine.url.query["connect_timeout"] == "10"


def test_the_urls_own_deadline_goes_before_ours() -> None:
    engine = engine_for("postgresql://me@db.example.com/shop?connect_timeout=3")

    assert engine.url.query["connect_timeout"] == "3"


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(engine_for("postgresql://me:hunter2@db.example.com/shop"))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("TimeZone", "America/Sao_Paulo"),
        ("TimeZone", "Asia/Tokyo"),
        ("IntervalStyle", "iso_8601"),
        ("extra_float_digits", "0"),
        ("DateStyle", "SQL, DMY"),
        ("DateStyle", "German"),
        ("DateStyle", "Postgres, MDY"),
        ("bytea_output", "escape"),
        ("client_encoding", "LATIN1"),
        ("client_encoding", "SQL_ASCII"),
        ("standard_conforming_strings", "off"),
        ("quote_all_identifiers", "on"),
    ],
)
@pytest.mark.parametrize("begin", [transaction, sa.Engine.connect])
def test_values_read_the_same_whatever_the_servers_settings(
    engine: sa.Engine,
    database_url: str,
    begin: Callable[[sa.Engine], AbstractContextManager[sa.Connection]],
    setting: str,
    value: str,
) -> None:
    stored = (
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        timedelta(days=1, seconds=1),
        0.1 + 0.2,
        date(2026, 3, 4),
        b"\x00\\\xff",
        "日本 C:\\new",
    )
    with engine.begin() as connection:
        name = sa.make_url(database_url).database
        connection.execute(sa.text(f"ALTER DATABASE {name} SET {setting} = '{value}'"))

    with begin(engine) as connection:
        kinds = ("TIMESTAMPTZ", "TIMESTAMPTZ", "INTERVAL", "FLOAT8", "DATE", "BYTEA", "TEXT")
        values = sa.text(
            "SELECT "
            + ", ".join(f"CAST(:{kind[0]} AS {kind[1]})" for kind in zip("abcdefg", kinds, strict=True))
        )
        read = connection.execute(values, dict(zip("abcdefg", stored, strict=True))).one()
        connection.execute(sa.text("CREATE TEMPORARY TABLE kinds (moment timestamptz)"))
        (column,) = sa.inspect(connection).get_columns("kinds")

    assert tuple(read) == stored
    assert isinstance(column["type"], sa.DateTime)


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "EUC_JP", "SQL_ASCII"])
def test_a_database_of_another_encoding_holds_what_it_can_and_names_the_row_of_what_it_cannot(
    server_url: str, encoding: str
) -> None:
    server = engine_for(server_url).execution_options(isolation_level="AUTOCOMMIT")
    name, like = (
        f"test_{uuid4().hex}",
        f"TEMPLATE template0 ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'",
    )
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} {like}"))
    try:
        url = sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
        store = Store(url, engine_for(url))
        fits, no_place = [("a", "é"[: encoding != "EUC_JP"]), ("b", "\\")], [("a", "x"), ("b", "😀")]
        assert store.store(pl.DataFrame(fits, schema=["key", "n"], orient="row")).success
        assert store.rows() == fits

        other = store.store(pl.DataFrame(no_place, schema=["key", "n"], orient="row"))

        if encoding == "SQL_ASCII":  # which takes any byte
            assert store.rows() == no_place
        else:
            assert (
                "things, row 2, column 'n': character with byte sequence 0xf0 0x9f 0x98 0x80 in encoding \"UTF8\""
                in (error_of(other))
            )
            assert store.rows() == fits
    finally:
        with server.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


def test_what_is_repeated_is_prepared_on_the_servers_own_connection(database_url: str) -> None:
    engine = engine_for(database_url, keeps_connection=True)
    for _ in range(10):
        with transaction(engine) as connection:
            connection.execute(sa.text("SELECT 'repeated'"))

    with transaction(engine) as connection:
        prepared = connection.scalars(sa.text("SELECT statement FROM pg_prepared_statements")).all()
    engine.dispose()

    assert "SELECT 'repeated'" in prepared


LIMITS = {
    "statement_timeout": "300ms",
    "idle_in_transaction_session_timeout": "300ms",
    "transaction_timeout": "300ms",
    "lock_timeout": "1ms",
}
DEFAULTS = {
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
}


@pytest.fixture
def limited(database_url: str, engine: sa.Engine) -> Iterator[str]:
    """The URL of the database's owner, with short limits and unusual defaults."""
    name, role = sa.make_url(database_url).database, f"role_{uuid4().hex}"
    with engine.begin() as connection:
        version = int(connection.scalar(sa.text("SHOW server_version_num")))
        connection.execute(sa.text(f"CREATE ROLE {role} LOGIN PASSWORD 'limited'"))
        connection.execute(sa.text(f"ALTER DATABASE {name} OWNER TO {role}"))
        for setting, value in (LIMITS | DEFAULTS).items():
            if version >= 170_000 or setting != "transaction_timeout":
                connection.execute(sa.text(f"ALTER ROLE {role} SET {setting} = '{value}'"))
    url = sa.make_url(database_url).set(username=role, password="limited")  # noqa: S106
    yield url.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(sa.text(f"REASSIGN OWNED BY {role} TO current_user"))
        connection.execute(sa.text(f"DROP ROLE {role}"))


def in_force(connection: sa.Connection, *settings: str) -> list[str]:
    """Return settings inside a transaction."""
    return [str(connection.scalar(sa.text(f"SHOW {setting}"))) for setting in settings]


def test_a_roles_small_limits_end_no_transaction(limited: str) -> None:
    with engine_for(limited).connect() as connection:
        slept = connection.scalar(sa.text("SELECT true FROM pg_sleep(0.5)"))
        sleep(0.5)
        found = in_force(
            connection, "statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"
        )

    assert slept
    assert found == ["0", "0", "10min"]


def test_a_roles_defaults_do_not_change_what_a_transaction_is(limited: str) -> None:
    with engine_for(limited).connect() as connection:
        assert in_force(connection, "transaction_isolation") == ["read committed"]


def test_the_urls_own_limit_stays(limited: str) -> None:
    own = sa.make_url(limited).update_query_dict({"options": "-c statement_timeout=7s"})

    with engine_for(own.render_as_string(hide_password=False)).connect() as connection:
        found = in_force(connection, "statement_timeout", "idle_in_transaction_session_timeout")

    assert found == ["7s", "0"]


def test_the_next_transaction_of_a_connection_begins_with_the_roles_limits(limited: str) -> None:
    engine = engine_for(limited, keeps_connection=True)
    for _ in range(2):
        with transaction(engine) as connection:
            assert in_force(connection, "statement_timeout") == ["0"]
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            assert driver.execute("SHOW statement_timeout").fetchone() == ("300ms",)
    engine.dispose()


def waits(seconds: float) -> Iterator[pl.DataFrame]:
    """Yield two batches, with a pause longer than the role's limits."""
    yield pl.DataFrame({"n": [1]})
    sleep(seconds)
    yield pl.DataFrame({"n": [2]})


@pytest.mark.parametrize("of", ["ROLE", "DATABASE"])
@pytest.mark.parametrize(
    "write_mode", [{}, {"write_mode": "append"}, {"write_mode": "upsert", "upsert_keys": ["n"]}]
)
def test_pauses_between_batches_outlast_the_limits_of_role_and_database(
    limited: str, engine: sa.Engine, of: str, write_mode: dict[str, Any]
) -> None:
    url = sa.make_url(limited)
    if of == "DATABASE":
        with engine.begin() as connection:
            connection.execute(sa.text(f"ALTER ROLE {url.username} RESET ALL"))
            for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
                connection.execute(sa.text(f"ALTER DATABASE {url.database} SET {limit} = '300ms'"))
    store = Store(limited, engine)

    assert store.store(Batches(waits(1)), write_mode).success
    assert store.read(Batches[pl.DataFrame], use=slowly) == [1, 2]


def slowly(frames: Batches[pl.DataFrame]) -> list[int]:
    """Consume batches, each for longer than the role's limits."""
    found = list[int]()
    for frame in frames:
        sleep(0.6)
        found.extend(frame["n"])
    return sorted(found)


def test_long_limits_of_the_role_end_no_transaction_either(limited: str, engine: sa.Engine) -> None:
    role = sa.make_url(limited).username
    with engine.begin() as connection:
        for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(sa.text(f"ALTER ROLE {role} SET {limit} = '16min'"))

    with engine_for(limited).connect() as connection:
        assert in_force(connection, "statement_timeout", "idle_in_transaction_session_timeout") == ["0", "0"]


def test_a_bound_of_the_whole_transaction_stays_if_it_is_long(limited: str, engine: sa.Engine) -> None:
    role = sa.make_url(limited).username
    with engine.begin() as connection:
        if int(connection.scalar(sa.text("SHOW server_version_num"))) < 170_000:
            pytest.skip("PostgreSQL 17 is the first that has a transaction_timeout")
        connection.execute(sa.text(f"ALTER ROLE {role} SET transaction_timeout = '20min'"))

    with engine_for(limited).connect() as connection:
        assert in_force(connection, "transaction_timeout") == ["20min"]


@pytest.mark.parametrize("limit", ["transaction_timeout", "idle_in_transaction_session_timeout"])
def test_a_session_that_the_server_ends_counts_as_a_database_that_is_away(
    database_url: str, tmp_path: Path, limit: str
) -> None:
    engine = engine_for(database_url)

    def outlast() -> bool:
        with engine.connect() as connection:
            connection.execute(sa.text(f"SET LOCAL {limit} = '50ms'"))
            sleep(0.2)
            return bool(connection.scalar(sa.text("SELECT 1")))

    said = list[str]()
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url))

    assert Failover(settings, said.append).attempt(outlast) is None
    assert said[0].startswith("PostgreSQL is unavailable: ")


def test_a_lot_loads_by_a_role_with_small_limits_and_other_defaults(
    limited: str, database_url: str, tmp_path: Path
) -> None:
    with served(create_app(defects=0.02)) as url:
        pipeline = a_pipeline(url, tmp_path, limited)
        runs = [ingest(pipeline, lote, rows=5_000) for lote in ("lote-0001", "lote-0002", "lote-0001")]

    verifier = Verifier(engine_for(limited), PURCHASES, landing_at(str(tmp_path)))
    assert all(run.success for run in runs)
    assert [verifier.verify(lote).differences for lote in verifier.partitions()] == [[], []]
    assert Ledger(engine_for(database_url), PURCHASES).counted().keys() == {"lote-0001", "lote-0002"}


def test_dagsters_storage_is_freed_of_its_roles_limits_where_the_server_takes_options(
    limited: str, database_url: str, tmp_path: Path
) -> None:
    settings = Settings(
        home=tmp_path, database_url=SecretStr(database_url), dagster_postgres_url=SecretStr(limited)
    )

    engine = sa.create_engine(
        dagster_storage_url(settings), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )

    with engine.connect() as connection:
        connection.execute(sa.text("CREATE TABLE runs AS SELECT 1 FROM pg_sleep(0.5)"))
        assert in_force(connection, "transaction_isolation", "lock_timeout") == ["read committed", "10min"]
        connection.execute(sa.text("DROP TABLE runs"))
