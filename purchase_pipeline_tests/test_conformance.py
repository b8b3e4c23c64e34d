"""PostgresIOManager has every behaviour of the conformance kit; DuckDBPandasIOManager lacks those named here."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import dagster as dg
import duckdb
import pytest
import sqlalchemy as sa
from dagster._check import CheckError
from dagster_duckdb_pandas import DuckDBPandasIOManager

from purchase_pipeline.postgres import PostgresIOManager
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline_tests.conformance.behaviours import BEHAVIOURS
from purchase_pipeline_tests.conformance.frames import ArrowFrames, PandasFrames, PolarsFrames
from purchase_pipeline_tests.conformance.subject import Columns, Rows, Subject
from purchase_pipeline_tests.test_house import imports_of, roots

BESIDE_THE_KIT = {"frames", "report"}

DUCKDB_LACKS = {
    "an_empty_frame_makes_a_table_that_keeps_its_columns": "writes nothing, and fails to read",
    "an_input_may_ask_for_columns_with_odd_names": "pastes names into SQL",
    "columns_in_another_order_find_their_own_places": "inserts by position, and mixes them up",
    "a_day_of_another_time_zone_is_its_instants_in_zoned_timestamps": "compares with the session's wall clock",
    "a_range_along_both_dimensions_is_replaced_in_one_run": "Dagster's base class refuses it",
    "a_dimension_without_an_expression_is_refused_by_name": "writes, and fails when it replaces",
    "a_failed_write_keeps_the_old_table": "has deleted it before",
    "a_failed_write_keeps_the_old_partition": "has deleted it before",
    "a_failed_range_keeps_every_old_partition": "has deleted them before",
    "a_write_that_fails_midway_keeps_the_old_table": "has deleted it before",
    "a_new_column_loses_no_old_rows": "deletes, then refuses",
    "a_new_column_is_kept_or_refused_by_name": "counts columns, and names none",
    "a_missing_column_loses_no_old_rows": "deletes, then refuses",
    "a_missing_column_is_left_empty_or_refused_by_name": "counts columns, and names none",
    "a_reader_sees_the_old_rows_or_the_new": "shows the gap between delete and insert",
    "two_writers_of_one_partition_leave_the_rows_of_one": "keeps the rows of both",
    "the_first_two_writers_of_a_table_succeed": "refuses one",
    "decimals_are_kept": "reads floats",
    "dates_from_year_1_to_9999_are_kept": "reads timestamps",
    "a_materialization_lists_the_columns": "keeps them under a name of its own",
}
ATTEMPTS = 50


@dataclass
class PostgresSubject:
    """`PostgresIOManager` on an empty database."""

    engine: sa.Engine
    instance: dg.DagsterInstance
    unwritable: ClassVar[Columns] = {"name": ["apple", "a\0b"]}

    def io_manager(self, schema: str | None = None) -> PostgresIOManager:
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


@dataclass
class PandasOnDuckDB(PandasFrames):
    """`DuckDBPandasIOManager` on an empty database file, which a connection holds open."""

    database: str
    connection: duckdb.DuckDBPyConnection
    instance: dg.DagsterInstance
    unwritable: ClassVar[Columns] = {"price": [Decimal("1.5"), Decimal("sNaN")]}

    def io_manager(self, schema: str | None = None) -> DuckDBPandasIOManager:
        return DuckDBPandasIOManager(database=self.database, schema=schema)

    def stored(self, table: str, schema: str = "public") -> Rows | None:
        try:
            found = self.connection.cursor().table(f'"{schema}"."{table}"')
        except duckdb.CatalogException:
            return None
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


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


@contextmanager
def empty_duckdb(folder: Path, instance: dg.DagsterInstance) -> Iterator[Subject]:
    database = str(folder / f"{uuid4().hex}.duckdb")
    # One process opens a file once, for connections of the same configuration: here Dagster's.
    with duckdb.connect(database, config={"custom_user_agent": "dagster"}) as connection:
        yield PandasOnDuckDB(database, connection, instance)


@pytest.mark.parametrize("subject", [PandasOnPostgres, PolarsOnPostgres, ArrowOnPostgres])
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_postgres_io_manager_has_every_behaviour(
    behaviour: str,
    subject: type[PandasOnPostgres | PolarsOnPostgres | ArrowOnPostgres],
    empty_engine: sa.Engine,
    instance: dg.DagsterInstance,
) -> None:
    BEHAVIOURS[behaviour](subject(empty_engine, instance))


@pytest.mark.parametrize("behaviour", [name for name in BEHAVIOURS if name not in DUCKDB_LACKS])
def test_duckdb_io_manager_has_the_other_behaviours(
    behaviour: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with empty_duckdb(tmp_path, instance) as subject:
        BEHAVIOURS[behaviour](subject)


@pytest.mark.parametrize("behaviour", DUCKDB_LACKS)
def test_duckdb_io_manager_lacks_what_is_named(
    behaviour: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    def attempts() -> None:
        # A reader or a second writer does not meet the gap in every attempt.
        for _ in range(ATTEMPTS):
            with empty_duckdb(tmp_path, instance) as subject:
                BEHAVIOURS[behaviour](subject)

    with pytest.raises((AssertionError, CheckError, duckdb.Error)):
        attempts()


def test_the_kit_stands_on_dagster_and_the_standard_library_alone() -> None:
    folder = Path(__file__).parent / "conformance"
    kit = {path for path in folder.glob("*.py") if path.stem not in BESIDE_THE_KIT}
    imported = set[str]().union(*map(imports_of, kit))

    ours = {name for name in imported if name.startswith("purchase_pipeline_tests")}
    assert roots(imported - ours) <= sys.stdlib_module_names | {"dagster"}
    package = "purchase_pipeline_tests.conformance"
    assert ours <= {package, *(f"{package}.{path.stem}" for path in kit)}
