"""The IO manager as Dagster configures it: an asset is a table, a partition is a slice of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
import sqlalchemy as sa
from pydantic import Field

from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.postgres.dagster_internals import DbTypeHandler
from purchase_pipeline.postgres.db_client import PostgresClient
from purchase_pipeline.postgres.manager import PostgresDbIOManager
from purchase_pipeline.postgres.schema.drift import DriftPolicy
from purchase_pipeline.postgres.write_options import WriteOptions


class PostgresIOManager(dg.ConfigurableIOManagerFactory[PostgresDbIOManager]):
    """Stores assets as PostgreSQL tables and replaces each partition atomically, in one transaction.

    The table is named by the asset key; the schema by metadata, the `schema` setting, or the key's prefix, as with
    Dagster's own database IO managers. A partitioned asset names its column in `metadata={"partition_expr": ...}`. For
    `write_mode`, `upsert_keys`, `schema_drift`, `row_model` and `preview_rows`, see `WriteOptions`.
    """

    database_url: str = Field(repr=False, description="postgresql://user:password@host:port/database")
    schema_: str | None = Field(
        default=None,
        alias="schema",
        description="Schema of the tables; by default the asset key's prefix, or public",
    )
    schema_drift: DriftPolicy = Field(
        default="freeze",
        description="If the data's columns differ from the table's: raise (freeze), or alter it without loss (evolve)",
    )
    preview_rows: int = Field(default=0, ge=0, description="Number of rows to show in each materialization")

    @classmethod
    def _is_dagster_maintained(cls) -> bool:
        return False

    @staticmethod
    def type_handlers() -> Sequence[DbTypeHandler[Any]]:
        """Return handlers for more types, which take precedence. Override in a subclass."""
        return ()

    @staticmethod
    def default_load_type() -> type | None:
        """Return the type for inputs without a type hint. Override in a subclass."""
        return None

    @staticmethod
    def declared_tables() -> Sequence[sa.Table]:
        """Return tables whose assets need no `row_model`: their data must match these. Override in a subclass."""
        return ()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[PostgresDbIOManager]:
        """Yield the manager for a run, and close its connection afterwards."""
        manager = self.create_io_manager(context)
        try:
            yield manager
        finally:
            manager.close()

    def create_io_manager(self, context: dg.InitResourceContext) -> PostgresDbIOManager:  # noqa: ARG002
        """Build the manager. It connects on the first read or write; the caller closes it."""
        engine = engine_for(self.database_url, keeps_connection=True)
        options = WriteOptions(schema_drift=self.schema_drift, preview_rows=self.preview_rows)
        return PostgresDbIOManager(
            PostgresClient(engine, options, self.declared_tables()),
            database=engine.url.database or "",
            schema=self.schema_,
            type_handlers=self.type_handlers(),
            default_load_type=self.default_load_type(),
        )
