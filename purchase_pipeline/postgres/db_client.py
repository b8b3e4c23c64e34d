"""The database client that Dagster's base drives: a transaction a read or write, and slices cleared in it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.postgres.connections import transaction
from purchase_pipeline.postgres.dagster_internals import DbClient, TableSlice
from purchase_pipeline.postgres.database_errors import database_errors
from purchase_pipeline.postgres.locks import lock_slice
from purchase_pipeline.postgres.op_outputs import refuse_table_of_asset
from purchase_pipeline.postgres.schema.tables import check_names, existing_table
from purchase_pipeline.postgres.slices.conditions import describe_slice, readable_query
from purchase_pipeline.postgres.slices.deletion import delete_slice
from purchase_pipeline.postgres.write.type_resolution import savepoint_before_delete
from purchase_pipeline.postgres.write_options import WriteOptions


class PostgresClient(DbClient[sa.Connection]):
    """Opens one transaction a read or write, and clears slices in it.

    Dagster's base has static methods alone; here some are none, for the engine's sake.
    """

    def __init__(self, engine: sa.Engine, options: WriteOptions) -> None:
        self._engine = engine
        # Said, for a role may only read by default. A read does not say so: it may be of a standby.
        self._writing = engine.execution_options(postgresql_readonly=False)
        self._options = options

    def close(self) -> None:
        """Close what the engine keeps open."""
        self._engine.dispose()

    @contextmanager
    def connect(  # type: ignore[override]
        self,
        context: dg.OutputContext | dg.InputContext,
        table_slice: TableSlice,
    ) -> Iterator[sa.Connection]:
        """Open a transaction: all that is done with the connection is committed at its end, or nothing is.

        Raises:
            UnusableNameError: a schema, table or column that PostgreSQL could not name so.
            DatabaseRefusalError: what PostgreSQL does not let the role do, be it at the commit.
        """
        check_names([table_slice.schema, table_slice.table, *(table_slice.columns or ())])
        engine = self._writing if isinstance(context, dg.OutputContext) else self._engine
        table = f"{table_slice.schema}.{table_slice.table}"
        with database_errors(table, describe_slice(table_slice)), transaction(engine) as connection:
            yield connection

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction that only reads."""
        return transaction(self._engine)

    def options(
        self, context: dg.OutputContext, said: Mapping[str, Any] = MappingProxyType({})
    ) -> WriteOptions:
        """Return how an output is written: by the IO manager, its definition's metadata, its own, its partition's.

        Raises:
            UnusableMetadataError: metadata that say nothing that is understood.
        """
        return self._options.updated(context.definition_metadata or {}, {**_output_metadata(context), **said})

    @staticmethod
    def ensure_schema_exists(
        context: dg.OutputContext, table_slice: TableSlice, connection: sa.Connection
    ) -> None:
        """Leave it to the table's creation, which knows whether a schema is missing at all."""

    def delete_table_slice(  # type: ignore[override]
        self, context: dg.OutputContext, table_slice: TableSlice, connection: sa.Connection
    ) -> None:
        """Clear the slice, alone among its writers; clear nothing where rows are to be kept."""
        if not context.has_asset_key:
            refuse_table_of_asset(connection, table_slice)
        keys = context.asset_partition_keys if context.has_asset_partitions else []
        self.clear(self.options(context), table_slice, keys, connection)

    @staticmethod
    def clear(
        options: WriteOptions, table_slice: TableSlice, keys: Sequence[str], connection: sa.Connection
    ) -> None:
        """Wait for the slice's other writers, then delete its rows if they are to be replaced."""
        one_partition = len(keys) == 1 and not options.merges and options.schema_drift == "freeze"
        lock_slice(connection, table_slice.schema, table_slice.table, str(keys[0]) if one_partition else None)
        if options.write_mode == "replace":
            table = existing_table(connection, table_slice.schema, table_slice.table)
            if table is not None:
                savepoint_before_delete(connection, table)
                delete_slice(connection, table, table_slice)

    @staticmethod
    def get_select_statement(table_slice: TableSlice) -> str:
        """Return a query that shows the slice, for a person."""
        return readable_query(table_slice)


def _output_metadata(context: dg.OutputContext) -> dict[str, Any]:
    """Return what the run says of the output: with it, or as the metadata of its asset."""
    said = dict(context.output_metadata or {})
    if not context.has_asset_key:
        return said
    said.pop("table", None)  # an asset's table is its key's, so this only describes it
    keys = context.asset_partition_keys if context.has_asset_partitions else []
    try:
        step = context.step_context
    except dg.DagsterInvariantViolationError:  # a context built by hand, in a test, has none
        return said
    for key in (None, *(keys if len(keys) == 1 else ())):
        said |= step.get_asset_metadata(context.asset_key, key) or {}
    return said
