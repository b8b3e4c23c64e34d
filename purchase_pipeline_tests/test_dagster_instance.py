"""What Dagster reads in the local stack's configuration: what it retries, how many runs at once, and for how long."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from pydantic import SecretStr

from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.dagster_instance import (
    NewerDagsterError,
    dagster_environment,
    open_instance,
    upgrade_storage,
)


@pytest.fixture
def instance(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """The local stack's instance on an empty database."""
    url = SecretStr(database_url)
    settings = Settings(home=tmp_path / "home", database_url=url, dagster_postgres_url=url)
    for name, value in dagster_environment(settings).items():
        monkeypatch.setenv(name, value)  # opening sets them too
    with open_instance(settings) as instance:
        yield instance


def test_a_dead_run_is_retried_twice_and_a_failed_step_never_and_none_lasts_for_ever(
    instance: dg.DagsterInstance,
) -> None:
    retries = (instance.run_retries_max_retries, instance.run_retries_retry_on_asset_or_op_failure)
    concurrency = instance.get_concurrency_config()
    runs = concurrency.run_queue_config
    monitoring = instance.get_settings("run_monitoring")

    assert instance.run_retries_enabled
    assert retries == (2, False)
    assert runs is not None
    assert runs.max_concurrent_runs == concurrency.pool_config.default_pool_limit == 2
    assert (monitoring["enabled"], monitoring["max_runtime_seconds"]) == (True, 900)


def test_tables_of_an_older_dagster_are_migrated(instance: dg.DagsterInstance, engine: sa.Engine) -> None:
    _, newest = instance.run_storage.alembic_version() or (None, None)
    script = ScriptDirectory(str(files("dagster").joinpath("_core", "storage", "alembic")))
    older = script.get_revision(str(newest)).down_revision
    set_schema(engine, str(older))
    assert instance.run_storage.alembic_version() == (older, newest)

    upgrade_storage(instance)

    assert instance.run_storage.alembic_version() == (newest, newest)


def test_tables_of_a_newer_dagster_are_refused(instance: dg.DagsterInstance, engine: sa.Engine) -> None:
    set_schema(engine, "0123456789ab")

    with pytest.raises(
        NewerDagsterError, match=r"schema 0123456789ab.*a newer Dagster migrated it.* the backup"
    ):
        upgrade_storage(instance)


def set_schema(engine: sa.Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision}
        )
