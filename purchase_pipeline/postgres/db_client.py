"""The database client that Dagster's base class drives: one transaction per read or write, and slices deleted in it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.postgres.connections import transaction
from purchase_pipeline.postgres.dagster_internals import DbClient, TableSlice
from purchase_pipeline.postgres.database_errors import database_errors
from purchase_pipeline.postgres.locks import lock_slice
from purchase_pipeline.postgres.op_outputs import reject_table_of_asset
from purchase_pipeline.postgres.schema.tables import check_names, existing_table
from purchase_pipeline.postgres.slices.conditions import describe_slice, readable_query
from purchase_pipeline.postgres.slices.slice import Slice
from purchase_pipeline.postgres.write.type_resolution import savepoint_before_delete
from purchase_pipeline.postgres.write_options import WriteOptions


class PostgresClient(DbClient[sa.Connection]):
    """Opens one transaction per read or write, and deletes slices in it.

    Dagster's base class has only static methods; some are instance methods here, because they need the engine.
    """

    def __init__(self, engine: sa.Engine, options: WriteOptions, tables: Sequence[sa.Table] = ()) -> None:
        self._engine = engine
        # Explicit, because a role may default to read-only. Reads do not set it: they may go to a standby.
        self._writing = engine.execution_options(postgresql_readonly=False)
        self._options = options
        self._declared = {table.name: table for table in tables}

    def close(self) -> None:
        """Close the engine's connections."""
        self._engine.dispose()

    @contextmanager
    def connect(  # type: ignore[override]
        self,
        context: dg.OutputContext | dg.InputContext,
        table_slice: TableSlice,
    ) -> Iterator[sa.Connection]:
        """Open a transaction: everything done with the connection is committed at the end, or nothing.

        Raises:
            UnusableNameError: a schema, table or column name that PostgreSQL cannot store.
            DatabaseRefusalError: PostgreSQL does not allow the operation, be it at the commit.
        """
        check_names([table_slice.schema, table_slice.table, *(table_slice.columns or ())])
        engine = self._writing if isinstance(context, dg.OutputContext) else self._engine
        table = f"{table_slice.schema}.{table_slice.table}"
        with database_errors(table, describe_slice(table_slice)), transaction(engine) as connection:
            yield connection

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction for reading."""
        return transaction(self._engine)

    def options(
        self, context: dg.OutputContext, metadata: Mapping[str, Any] = MappingProxyType({})
    ) -> WriteOptions:
        """Return the write options: the IO manager's, the definition's, the output's and the partition's.

        Raises:
            UnusableMetadataError: metadata that are not valid options.
        """
        declared = self._declared.get(context.asset_key.path[-1]) if context.has_asset_key else None
        return replace(self._options, declared=declared).updated(
            context.definition_metadata or {}, {**_output_metadata(context), **metadata}
        )

    @staticmethod
    def ensure_schema_exists(
        context: dg.OutputContext, table_slice: TableSlice, connection: sa.Connection
    ) -> None:
        """Do nothing: creating a table creates its schema if it is missing."""

    def delete_table_slice(  # type: ignore[override]
        self, context: dg.OutputContext, table_slice: TableSlice, connection: sa.Connection
    ) -> None:
        """Delete the slice's rows if the write mode replaces them, holding the slice's lock."""
        if not context.has_asset_key:
            reject_table_of_asset(connection, table_slice)
        keys = context.asset_partition_keys if context.has_asset_partitions else []
        self.clear(self.options(context), table_slice, keys, connection)

    @staticmethod
    def clear(
        options: WriteOptions, table_slice: TableSlice, keys: Sequence[str], connection: sa.Connection
    ) -> None:
        """Wait for other writers of the slice, then delete its rows if they are to be replaced."""
        one_partition = len(keys) == 1 and not options.merges and options.schema_drift == "freeze"
        lock_slice(connection, table_slice.schema, table_slice.table, str(keys[0]) if one_partition else None)
        if options.write_mode == "replace":
            table = existing_table(connection, table_slice.schema, table_slice.table)
            if table is not None:
                savepoint_before_delete(connection, table)
                Slice(connection, table, table_slice).delete()

    @staticmethod
    def get_select_statement(table_slice: TableSlice) -> str:
        """Return a readable query for the slice."""
        return readable_query(table_slice)


def _output_metadata(context: dg.OutputContext) -> dict[str, Any]:
    """Return the metadata that the run gives, on the output or on its asset."""
    metadata = dict(context.output_metadata or {})
    if not context.has_asset_key:
        return metadata
    metadata.pop("table", None)  # the key names an asset's table, so this only describes it
    keys = context.asset_partition_keys if context.has_asset_partitions else []
    try:
        step = context.step_context
    except dg.DagsterInvariantViolationError:  # a context built by hand, in a test, has none
        return metadata
    for key in (None, *(keys if len(keys) == 1 else ())):
        metadata |= step.get_asset_metadata(context.asset_key, key) or {}
    return metadata
