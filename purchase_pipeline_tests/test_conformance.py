"""PostgresIOManager has every behaviour of the conformance suite; DuckDBPandasIOManager lacks those that it names."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import dagster as dg
import pytest
import sqlalchemy as sa

import io_manager_conformance
from io_manager_conformance import Conformance, Subject
from io_manager_conformance.peers.test_duckdb_pandas import TestDuckDBPandasIOManager
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline_tests.postgres_subject import (
    ArrowOnPostgres,
    PandasOnPostgres,
    PolarsOnPostgres,
    drop_all_schemas,
)
from purchase_pipeline_tests.test_house import imports_of, roots

pytest.mark.proof(TestDuckDBPandasIOManager)  # of another's code: on one Python version

KIT = Path(io_manager_conformance.__file__).parent


@pytest.fixture(scope="module")
def shared_engine(server_url: str) -> Iterator[sa.Engine]:
    """One database for all behaviours: to make one takes longer than to try a behaviour."""
    name = f"conformance_{uuid4().hex}"
    server = engine_for(server_url).execution_options(isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield engine_for(sa.make_url(server_url).set(database=name).render_as_string(hide_password=False))
    with server.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def empty_engine(shared_engine: sa.Engine) -> Iterator[sa.Engine]:
    yield shared_engine
    drop_all_schemas(shared_engine)


class OnPostgres(Conformance):
    """All behaviours, none excepted."""

    title = "PostgresIOManager"
    subject_type: ClassVar[type[PandasOnPostgres | PolarsOnPostgres | ArrowOnPostgres]]

    @pytest.fixture
    def subject(self, empty_engine: sa.Engine, instance: dg.DagsterInstance) -> Subject:
        return self.subject_type(empty_engine, instance)


class TestPostgresWithPandas(OnPostgres):
    """pandas frames."""

    frames, subject_type, distributions = "pandas", PandasOnPostgres, ("purchase-pipeline", "pandas")


class TestPostgresWithPolars(OnPostgres):
    """polars frames."""

    frames, subject_type, distributions = "polars", PolarsOnPostgres, ("purchase-pipeline", "polars")


class TestPostgresWithArrow(OnPostgres):
    """Arrow tables."""

    frames, subject_type, distributions = "Arrow", ArrowOnPostgres, ("purchase-pipeline", "pyarrow")


def test_the_suite_needs_dagster_and_pytest_alone() -> None:
    kit = [path for path in KIT.rglob("*.py") if path.parent.name not in {"frames", "peers"}]
    imported = set[str]().union(*map(imports_of, kit))

    assert roots(imported) <= sys.stdlib_module_names | {"dagster", "pytest", KIT.name}


def test_frames_of_one_library_need_no_other() -> None:
    needed = {
        path.stem: roots(imports_of(path)) - sys.stdlib_module_names
        for path in KIT.glob("frames/*_frames.py")
    }

    assert needed == {
        "arrow_frames": {"pyarrow", KIT.name},
        "pandas_frames": {"numpy", "pandas", KIT.name},
        "polars_frames": {"polars", KIT.name},
    }
