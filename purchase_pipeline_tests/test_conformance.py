"""PostgresIOManager has every behaviour of the conformance suite; DuckDBPandasIOManager lacks those that it names."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import dagster as dg
import pytest
import sqlalchemy as sa

import io_manager_conformance
from io_manager_conformance import Columns, Conformance, PartitionExpr, Rows, Subject
from io_manager_conformance.frames.arrow_frames import ArrowFrames
from io_manager_conformance.frames.pandas_frames import PandasFrames
from io_manager_conformance.frames.polars_frames import PolarsFrames
from io_manager_conformance.peers.test_duckdb_pandas import TestDuckDBPandasIOManager
from purchase_pipeline.postgres import PostgresIOManager
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline_tests.test_house import imports_of, roots

__all__ = ["TestDuckDBPandasIOManager"]  # collected here too: the others are not installed

KIT = Path(io_manager_conformance.__file__).parent


@dataclass
class PostgresSubject:
    """`PostgresIOManager` on an empty database."""

    engine: sa.Engine
    instance: dg.DagsterInstance
    unwritable: ClassVar[Columns] = {"name": ["apple", "a\0b"]}

    def io_manager(
        self,
        schema: str | None = None,
        partition_expr: PartitionExpr = None,  # noqa: ARG002  (it is in the metadata)
    ) -> object:
        url = self.engine.url.render_as_string(hide_password=False)
        return PostgresIOManager(database_url=url, schema=schema)

    def stored(self, table: str, schema: str = "public") -> Rows | None:
        if not sa.inspect(self.engine).has_table(table, schema=schema):
            return None
        # SQLAlchemy would remember the columns that the table had in another test.
        with self.engine.execution_options(compiled_cache=None).connect() as connection:
            found = connection.execute(sa.select("*").select_from(sa.table(table, schema=schema)))
            return [dict(row) for row in found.mappings()]


class PandasOnPostgres(PostgresSubject, PandasFrames):
    """pandas frames as PostgreSQL tables."""


class PolarsOnPostgres(PostgresSubject, PolarsFrames):
    """polars frames as PostgreSQL tables."""


class ArrowOnPostgres(PostgresSubject, ArrowFrames):
    """Arrow tables as PostgreSQL tables."""


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
    with shared_engine.begin() as connection:
        for schema in set(sa.inspect(connection).get_schema_names()) - {"information_schema"}:
            connection.execute(sa.schema.DropSchema(schema, cascade=True))
        connection.execute(sa.schema.CreateSchema("public"))


class TestPostgresWithPandas(Conformance):
    """All behaviours, none excepted."""

    title = "PostgresIOManager"
    frames = "pandas"
    distributions = ("purchase-pipeline", "pandas")

    @pytest.fixture
    def subject(self, empty_engine: sa.Engine, instance: dg.DagsterInstance) -> Subject:
        return PandasOnPostgres(empty_engine, instance)


class TestPostgresWithPolars(Conformance):
    """All behaviours, none excepted."""

    title = "PostgresIOManager"
    frames = "polars"
    distributions = ("purchase-pipeline", "polars")

    @pytest.fixture
    def subject(self, empty_engine: sa.Engine, instance: dg.DagsterInstance) -> Subject:
        return PolarsOnPostgres(empty_engine, instance)


class TestPostgresWithArrow(Conformance):
    """All behaviours, none excepted."""

    title = "PostgresIOManager"
    frames = "Arrow"
    distributions = ("purchase-pipeline", "pyarrow")

    @pytest.fixture
    def subject(self, empty_engine: sa.Engine, instance: dg.DagsterInstance) -> Subject:
        return ArrowOnPostgres(empty_engine, instance)


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
