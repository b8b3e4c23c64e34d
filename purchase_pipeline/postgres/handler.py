"""Between Dagster's base and PostgreSQL: a frame, stream or query into its slice, a slice into a frame or stream."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.metadata import RawMetadataValue
from dagster._core.storage.db_io_manager import DbTypeHandler, TableSlice

from purchase_pipeline.postgres.client import PostgresClient
from purchase_pipeline.postgres.database_errors import from_elsewhere
from purchase_pipeline.postgres.errors import UnusableMetadataError
from purchase_pipeline.postgres.frames.libraries import batches_of, is_reader, library_of
from purchase_pipeline.postgres.frames.reading import read_slice, stream_slice
from purchase_pipeline.postgres.frames.rows import Batches, Row, RowStream, Together, closed_in_the_end
from purchase_pipeline.postgres.options import WriteOptions
from purchase_pipeline.postgres.schema.tables import check_names, existing_table
from purchase_pipeline.postgres.schema.types import ColumnType
from purchase_pipeline.postgres.slices.conditions import slice_query
from purchase_pipeline.postgres.slices.notes import note_slices
from purchase_pipeline.postgres.slices.partitions import Target
from purchase_pipeline.postgres.write.batches import write_batches
from purchase_pipeline.postgres.write.queries import is_query, write_query
from purchase_pipeline.postgres.write.report import write_metadata


class FrameHandler(DbTypeHandler[Any]):
    """Writes and reads all that `WRITTEN` and `READ` name."""

    def __init__(self, client: PostgresClient) -> None:
        self._client = client

    @property
    def supported_types(self) -> Sequence[type[object]]:
        """Anything: what cannot be written or read is refused before a connection is opened."""
        return [RowStream, Batches, object]

    def handle_output(
        self,
        context: dg.OutputContext,
        table_slice: TableSlice,
        obj: Any,  # noqa: ANN401
        connection: sa.Connection,
    ) -> Mapping[str, RawMetadataValue]:
        """Write the slice, whose old rows are gone by now, and note it in the ledger."""
        keys = [str(key) for key in context.asset_partition_keys] if context.has_asset_partitions else []
        return self.write(context, Target(table_slice, keys), obj, connection)

    def write(
        self,
        context: dg.OutputContext,
        target: Target,
        obj: Any,  # noqa: ANN401
        connection: sa.Connection,
    ) -> dict[str, RawMetadataValue]:
        """Write the slice, and those beside it; note them, and return what to tell of the slice."""
        options = self._client.options(context)
        if not isinstance(obj, Together):
            return _write_one(context, target, obj, connection, options)
        metadata = _write_one(context, target, obj.value, connection, options)
        for name, value in obj.beside.items():
            table_slice = target.table_slice._replace(table=name, columns=None)
            obj.written[name] = self._write_beside(
                context, target._replace(table_slice=table_slice), value, connection, options
            )
        return metadata

    def _write_beside(
        self,
        context: dg.OutputContext,
        target: Target,
        value: Any,  # noqa: ANN401
        connection: sa.Connection,
        options: WriteOptions,
    ) -> dict[str, RawMetadataValue]:
        """Replace, or append to, the slice of a table beside, and return what to tell of it.

        Raises:
            UnusableMetadataError: an upsert, whose keys are those of the asset's own table.
        """
        if options.write_mode == "upsert":
            raise UnusableMetadataError('Together goes with "write_mode" replace or append, not with upsert.')
        table_slice, own = target.table_slice, replace(options, declared=None)
        check_names([table_slice.table])
        if callable(value):
            value = value(connection)
        self._client.clear(own, table_slice, target.keys, connection)
        return {
            **_write_one(context, target, value, connection, own),
            "Query": self._client.get_select_statement(table_slice),
            "dagster/table_name": self._client.get_table_name(table_slice),
        }

    def load_input(self, context: dg.InputContext, table_slice: TableSlice, connection: sa.Connection) -> Any:  # noqa: ANN401
        """Read the slice as what the input is annotated with; a stream is read as it is asked for.

        Raises:
            LookupError: there is no such table.
        """
        kind = context.dagster_type.typing_type
        table = existing_table(connection, table_slice.schema, table_slice.table)
        if table is None:
            if context.has_asset_partitions and not context.asset_partition_keys:
                return _whole(kind, {}, [])  # no partition is before the first
            raise LookupError(
                f"There is no table {table_slice.schema}.{table_slice.table}: materialize what writes it first."
            )
        query = slice_query(connection, table, table_slice)
        if library_of(kind) is not None:
            return _whole(kind, *read_slice(connection, query))
        return _streamed(kind, *stream_slice(connection, query))


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
        with closed_in_the_end(batches_of(value)) as batches:
            written = write_batches(connection, target.table_slice, from_elsewhere(batches), options)
    counts = note_slices(connection, context, target, written, options)
    return write_metadata(written, preview=options.preview_rows > 0) | counts


def _whole(kind: type, columns: Mapping[str, ColumnType], rows: Sequence[Row]) -> Any:  # noqa: ANN401
    library = library_of(kind)
    return _streamed(kind, columns, iter([rows])) if library is None else library.from_rows(columns, rows)


def _streamed(kind: Any, columns: Mapping[str, ColumnType], batches: Iterator[Sequence[Row]]) -> Any:  # noqa: ANN401
    if kind is RowStream:
        return RowStream(tuple(columns), batches)
    if is_reader(kind):
        return import_module("purchase_pipeline.postgres.frames.arrow_tables").reader(columns, batches)
    library = library_of(kind.frame_type)
    if library is not None:
        return kind(library.from_rows(columns, rows) for rows in batches)
    return kind([dict(zip(columns, row, strict=True)) for row in rows] for rows in batches)
