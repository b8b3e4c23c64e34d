"""One database, whatever way its URL is written."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import polars as pl
import psycopg
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres.connections import engine_for, transaction
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
                'things, row 2: character with byte sequence 0xf0 0x9f 0x98 0x80 in encoding "UTF8" has no equi'
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
