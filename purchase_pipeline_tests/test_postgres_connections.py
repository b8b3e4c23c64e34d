"""One database, whatever way its URL is written."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres.connections import engine_for, transaction


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
    ],
)
def test_values_read_the_same_whatever_the_servers_settings(
    engine: sa.Engine, database_url: str, setting: str, value: str
) -> None:
    stored = (
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        timedelta(days=1, seconds=1),
        0.1 + 0.2,
    )
    with engine.begin() as connection:
        name = sa.make_url(database_url).database
        connection.execute(sa.text(f"ALTER DATABASE {name} SET {setting} = '{value}'"))

    with transaction(engine) as connection:
        values = sa.text(
            "SELECT CAST(:a AS TIMESTAMPTZ), CAST(:b AS TIMESTAMPTZ), CAST(:c AS INTERVAL), CAST(:d AS FLOAT8)"
        )
        read = connection.execute(values, dict(zip("abcd", stored, strict=True))).one()

    assert tuple(read) == stored


def test_what_is_repeated_is_prepared_on_the_servers_own_connection(database_url: str) -> None:
    engine = engine_for(database_url, keeps_connection=True)
    for _ in range(10):
        with transaction(engine) as connection:
            connection.execute(sa.text("SELECT 'repeated'"))

    with transaction(engine) as connection:
        prepared = connection.scalars(sa.text("SELECT statement FROM pg_prepared_statements")).all()
    engine.dispose()

    assert "SELECT 'repeated'" in prepared
