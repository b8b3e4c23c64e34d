"""Dagster's storage is claimed if it is the pipeline's, and otherwise left unchanged."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa

from purchase_pipeline.definitions import defs
from purchase_pipeline.settings import new_settings
from purchase_pipeline.stack.database import start_database
from purchase_pipeline.stack.storage_claim import (
    CODE_LOCATION,
    JOBS,
    MARK,
    ForeignStorageError,
    claim_storage,
)
from purchase_pipeline_tests.person import Person

REPOSITORY = ".dagster/repository"


@dg.job
def theirs() -> None:
    """A job of another deployment."""


@dg.job(name="ingest_lote")
def like_ours() -> None:
    """A job with the name of one of the pipeline's."""


@contextmanager
def dagster_in(database_url: str, folder: Path) -> Iterator[dg.DagsterInstance]:
    """Open a database as storage of a plain Dagster instance."""
    url = sa.make_url(database_url).set(drivername="postgresql+psycopg2")
    configuration = {
        "storage": {"postgres": {"postgres_url": url.render_as_string(hide_password=False)}},
        "telemetry": {"enabled": False},
    }
    (folder / "dagster.yaml").write_text(json.dumps(configuration))
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        yield instance


def claim(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        claim_storage(connection, "postgresql://somewhere/dagster")


def tables_in(database_url: str) -> set[str]:
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name for (name,) in found}


def test_an_empty_database_is_claimed(database_url: str) -> None:
    claim(database_url)
    assert tables_in(database_url) == {MARK}

    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE orders (id int)")
    claim(database_url)


def test_concurrent_claims_succeed(database_url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(claim, [database_url] * 8))

    assert tables_in(database_url) == {MARK}


def test_a_database_with_foreign_runs_is_unchanged(database_url: str, tmp_path: Path) -> None:
    with dagster_in(database_url, tmp_path) as instance:
        run_id = instance.create_run_for_job(theirs, status=dg.DagsterRunStatus.STARTED).run_id
        before = tables_in(database_url)

        with pytest.raises(
            ForeignStorageError, match=r"runs of jobs that are not this pipeline's: theirs"
        ) as refusal:
            claim(database_url)

        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status is dg.DagsterRunStatus.STARTED
    assert tables_in(database_url) == before
    assert "DAGSTER_POSTGRES_URL" in str(refusal.value)
    assert f"CREATE TABLE {MARK} ()" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.STARTED])
def test_runs_of_another_code_location_are_foreign(
    database_url: str, tmp_path: Path, status: dg.DagsterRunStatus
) -> None:
    with dagster_in(database_url, tmp_path) as instance:
        instance.create_run_for_job(like_ours, status=status, tags={REPOSITORY: "__repository__@shop"})

    with pytest.raises(ForeignStorageError, match="runs of another code location: shop"):
        claim(database_url)


def test_tables_that_are_not_dagsters_are_named(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        for name in ("customers", "orders", "runs", "stores"):
            connection.execute(f"CREATE TABLE {name} (id int)".encode())

    with pytest.raises(ForeignStorageError, match="customers, orders, runs and 1 more"):
        claim(database_url)


def test_storage_of_an_older_version_is_claimed(database_url: str, tmp_path: Path) -> None:
    with dagster_in(database_url, tmp_path) as instance:
        instance.create_run_for_job(like_ours, tags={REPOSITORY: f"__repository__@{CODE_LOCATION}"})
        instance.create_run_for_job(like_ours)  # `ingest` asks no code location

    claim(database_url)

    assert MARK in tables_in(database_url)


def test_dagsters_tables_without_runs_are_claimed(database_url: str, tmp_path: Path) -> None:
    with dagster_in(database_url, tmp_path):
        pass

    claim(database_url)

    assert MARK in tables_in(database_url)


def test_foreign_storage_can_be_claimed_explicitly(database_url: str, tmp_path: Path) -> None:
    with dagster_in(database_url, tmp_path) as instance:
        instance.create_run_for_job(theirs)
    with psycopg.connect(database_url) as connection:
        connection.execute(f"CREATE TABLE {MARK} ()".encode())

    claim(database_url)


def test_the_recognized_jobs_are_the_pipelines() -> None:
    assert {job.name for job in defs().jobs or ()} == set(JOBS)


@pytest.mark.proof
def test_no_command_uses_foreign_storage(
    person: Person, database_url: str, server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dagster_in(database_url, tmp_path) as instance:
        instance.create_run_for_job(theirs, status=dg.DagsterRunStatus.STARTED)
    given = {"DATABASE_URL": server_url, "DAGSTER_POSTGRES_URL": database_url}

    done = person.run("status", **given)

    assert done.returncode == 1
    assert (
        "is not this pipeline's Dagster storage: it has runs of jobs that are not this pipeline's: theirs"
        in (" ".join(done.stderr.split()))
    )
    assert "Traceback" not in done.stderr
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ForeignStorageError):
        start_database(new_settings())
