"""One database, whatever way its URL is written."""

import psycopg
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres.connections import engine_for


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
