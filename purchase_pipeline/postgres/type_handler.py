"""The type handler: writes a frame, stream or query to a slice, and reads a slice as a frame or stream."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import DbTypeHandler, RawMetadataValue, TableSlice
from purchase_pipeline.postgres.database_errors import from_source
from purchase_pipeline.postgres.db_client import PostgresClient
from purchase_pipeline.postgres.errors import TableNotFoundError, UnusableMetadataError
from purchase_pipeline.postgres.frames.libraries import batches_of
from purchase_pipeline.postgres.frames.prefetch import prefetched
from purchase_pipeline.postgres.frames.rows import Batches, Item, RowStream, Together, closing_iterator
from purchase_pipeline.postgres.inputs import ReadOptions, load_type
from purchase_pipeline.postgres.materialization import write_metadata
from purchase_pipeline.postgres.op_outputs import require_run
from purchase_pipeline.postgres.schema.tables import check_names, existing_table
from purchase_pipeline.postgres.slice_records import record_write
from purchase_pipeline.postgres.slices.partitions import Target
from purchase_pipeline.postgres.write.batches import write_batches
from purchase_pipeline.postgres.write.queries import is_query, write_query
from purchase_pipeline.postgres.write_options import WriteOptions


class FrameHandler(DbTypeHandler[Any]):
    """Writes and reads the types listed in `WRITTEN` and `READ`."""

    def __init__(self, client: PostgresClient, default_load_type: type | None = None) -> None:
        self._client = client
        self._default_load_type = default_load_type

    @property
    def supported_types(self) -> Sequence[type[object]]:
        """Any type: unsupported ones are rejected before a connection is opened."""
        return [RowStream, Batches, object]

    def handle_output(
        self,
        context: dg.OutputContext,
        table_slice: TableSlice,
        obj: Any,  # noqa: ANN401
        connection: sa.Connection,
    ) -> Mapping[str, RawMetadataValue]:
        """Write the slice, whose old rows are already deleted, and record it in the ledger."""
        keys = [str(key) for key in context.asset_partition_keys] if context.has_asset_partitions else []
        return self.write(context, Target(table_slice, keys), obj, connection)

    def write(
        self,
        context: dg.OutputContext,
        target: Target,
        obj: Any,  # noqa: ANN401
        connection: sa.Connection,
    ) -> dict[str, RawMetadataValue]:
        """Write the slice and those of companion tables, record them, and return the metadata of the slice."""
        options = self._client.options(context, target.metadata)
        if not isinstance(obj, Together):
            return _write_one(context, target, obj, connection, options)
        _check_companion_keys(obj, options)
        metadata = _write_one(context, target, obj.value, connection, options)
        for name, value in obj.beside.items():
            table_slice = target.table_slice._replace(table=name, columns=None)
            companion_options = options.of_companion(obj.write_modes.get(name), obj.upsert_keys.get(name, ()))
            obj.written[name] = self._write_companion(
                context, target._replace(table_slice=table_slice), value, connection, companion_options
            )
        return metadata

    def _write_companion(
        self,
        context: dg.OutputContext,
        target: Target,
        value: Any,  # noqa: ANN401
        connection: sa.Connection,
        options: WriteOptions,
    ) -> dict[str, RawMetadataValue]:
        """Write the slice of a companion table, and return its metadata."""
        table_slice = target.table_slice
        check_names([table_slice.table])
        if callable(value):
            value = value(connection)
        with prefetched(value) as ready:
            self._client.clear(options, table_slice, target.keys, connection)
            metadata = _write_one(context, target, ready, connection, options)
        return {
            **metadata,
            "Query": self._client.get_select_statement(table_slice),
            "dagster/table_name": self._client.get_table_name(table_slice),
        }

    def load_input(self, context: dg.InputContext, table_slice: TableSlice, connection: sa.Connection) -> Any:  # noqa: ANN401
        """Read the slice as the input's annotation says. A stream is read lazily.

        Raises:
            TableNotFoundError: the table does not exist.
            UnusableMetadataError: the table lacks a column, or PostgreSQL rejects the row filter.
        """
        kind, options = load_type(context, self._default_load_type), ReadOptions.of(context)
        table = existing_table(connection, table_slice.schema, table_slice.table)
        if table is None:
            if context.has_asset_partitions and not context.asset_partition_keys:
                return _loading().load_empty(kind)  # nothing precedes the first partition
            raise TableNotFoundError(
                f"Table {table_slice.schema}.{table_slice.table} does not exist: materialize what writes it first."
            )
        query = options.query(connection, table, table_slice)
        output = None if context.has_asset_key else context.upstream_output

        def with_checks(frames: Iterator[Item]) -> Iterator[Item]:
            checked = options.with_filter_errors(frames, table)
            return checked if output is None else self._checked_run(checked, table_slice, output)

        return _loading().load_query(kind, connection, table, query, with_checks)

    def _checked_run(
        self, batches: Iterator[Item], table_slice: TableSlice, output: dg.OutputContext
    ) -> Iterator[Item]:
        """Check the output's run once the first batch is read: the query's snapshot is older than that."""
        with closing_iterator(batches) as stream:
            first = next(stream, None)
            with self._client.reading() as connection:
                require_run(connection, table_slice, output)
            if first is not None:
                yield first
            yield from stream


def _check_companion_keys(together: Together, options: WriteOptions) -> None:
    """Check that `upsert_keys` and `write_modes` name companion tables, and keys those in a mode that uses them.

    Raises:
        UnusableMetadataError: they do not.
    """
    modes = {name: together.write_modes.get(name, options.write_mode) for name in together.beside}
    others = [name for name in together.write_modes if name not in modes]
    others += [name for name in together.upsert_keys if modes.get(name) not in ("upsert", "insert")]
    if others:
        raise UnusableMetadataError(
            f"Together has upsert_keys or write_modes for {others!r}; its companion tables and their write modes are "
            f'{modes!r}. Keys require "upsert" or "insert".'
        )


def _write_one(
    context: dg.OutputContext,
    target: Target,
    value: Any,  # noqa: ANN401
    connection: sa.Connection,
    options: WriteOptions,
) -> dict[str, RawMetadataValue]:
    if is_query(type(value)):
        written = write_query(connection, target.table_slice, value, options)
    else:
        with closing_iterator(batches_of(value)) as batches:
            written = write_batches(connection, target.table_slice, from_source(batches), options)
    counts = record_write(connection, context, target, written, options)
    return write_metadata(written, counts, options)


def _loading() -> Any:  # noqa: ANN401
    """Import the module that needs pyarrow; writing declared streams does not."""
    return import_module("purchase_pipeline.postgres.frames.loading")
