"""The local stack's storage of Dagster: it keeps connections, and asks once which tables and columns there are."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.dagster_instance import open_instance
from purchase_pipeline_tests.waiting import wait_until


@pytest.fixture
def instance(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """An instance as `up` opens it."""
    for name in ("DAGSTER_HOME", "DAGSTER_POSTGRES_URL"):
        monkeypatch.setenv(name, "")  # restored afterwards
    secret = SecretStr(database_url)
    settings = Settings(home=tmp_path, database_url=secret, dagster_postgres_url=secret)
    for name in settings.exported():
        monkeypatch.setenv(name, "")
    with open_instance(settings) as instance:
        yield instance


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is sent to the server."""
    sent = list[str]()

    def note(*call: object) -> None:
        sent.append(str(call[2]))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def sessions(engine: sa.Engine) -> list[int]:
    with engine.connect() as connection:
        query = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return sorted(connection.scalars(sa.text(query)))


def look(instance: dg.DagsterInstance) -> None:
    """Ask each of the three storages something."""
    instance.get_run_records(limit=1)
    instance.get_asset_records()
    instance.all_instigator_state()


def test_the_catalog_is_read_once(instance: dg.DagsterInstance) -> None:
    look(instance)

    with statements() as sent:
        look(instance)

    assert len(sent) >= 3
    assert [statement for statement in sent if "pg_catalog" in statement] == []


def test_connections_are_kept(instance: dg.DagsterInstance, engine: sa.Engine) -> None:
    look(instance)
    before = sessions(engine)

    look(instance)

    assert sessions(engine) == before
    assert 1 <= len(before) <= 3


def test_an_instance_that_is_closed_keeps_none(instance: dg.DagsterInstance, engine: sa.Engine) -> None:
    """A code server opens one for each look at its runs."""
    look(instance)
    gc.disable()
    try:
        with dg.DagsterInstance.from_ref(instance.get_ref()) as another:
            look(another)
            assert len(sessions(engine)) > 3
    finally:
        gc.enable()

    wait_until(lambda: len(sessions(engine)) <= 3)


def test_a_connection_that_the_server_ended_is_replaced_unnoticed(
    instance: dg.DagsterInstance, engine: sa.Engine
) -> None:
    look(instance)
    before = sessions(engine)
    with engine.connect() as connection:
        for session in before:
            connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": session})

    look(instance)

    assert set(sessions(engine)).isdisjoint(before)


def test_what_a_migration_adds_is_seen(instance: dg.DagsterInstance, engine: sa.Engine) -> None:
    storage = instance.event_log_storage
    assert not storage.has_table("added")  # type: ignore[attr-defined]  # PostgreSQL's

    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE added ()"))

    assert storage.has_table("added")  # type: ignore[attr-defined]
