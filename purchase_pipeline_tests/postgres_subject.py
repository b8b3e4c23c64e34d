"""`PostgresIOManager` as subjects of the conformance suite."""

from dataclasses import dataclass
from typing import ClassVar

import dagster as dg
import sqlalchemy as sa

from io_manager_conformance import Columns, PartitionExpr, Rows
from io_manager_conformance.frames.arrow_frames import ArrowFrames
from io_manager_conformance.frames.pandas_frames import PandasFrames
from io_manager_conformance.frames.polars_frames import PolarsFrames
from purchase_pipeline.postgres import PostgresIOManager


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
    ) -> PostgresIOManager:
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


def drop_all_schemas(engine: sa.Engine) -> None:
    """Empty the database: faster than a new one."""
    with engine.begin() as connection:
        for schema in set(sa.inspect(connection).get_schema_names()) - {"information_schema"}:
            connection.execute(sa.schema.DropSchema(schema, cascade=True))
        connection.execute(sa.schema.CreateSchema("public"))
