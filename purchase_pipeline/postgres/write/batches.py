"""Batches into a slice's table: whole or not at all, inside the transaction that the caller opened."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import chain, islice
from typing import Any

import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import TableSlice
from purchase_pipeline.postgres.errors import RefusedValueError, UnstorableValueError
from purchase_pipeline.postgres.frames.rows import Batch, DeclaredBatch
from purchase_pipeline.postgres.schema.drift import differences_between, settle
from purchase_pipeline.postgres.schema.evolution import evolve
from purchase_pipeline.postgres.schema.hash_partitions import create_with_hash_partitions, hash_columns
from purchase_pipeline.postgres.schema.native_types import NativeType, native_types
from purchase_pipeline.postgres.schema.table_errors import ROWS_OF, table_errors
from purchase_pipeline.postgres.schema.tables import (
    check_names,
    create_if_missing,
    existing_table,
    inferred_table,
    renamed,
    with_keys,
)
from purchase_pipeline.postgres.schema.types import ColumnType
from purchase_pipeline.postgres.slices.conditions import partition_columns, slice_conditions
from purchase_pipeline.postgres.write.completeness import SliceVerifier, require_all
from purchase_pipeline.postgres.write.copy import CopyResult
from purchase_pipeline.postgres.write.lookahead import with_lookahead
from purchase_pipeline.postgres.write.row_source import RowSource, declared_source
from purchase_pipeline.postgres.write.staging import insert_staged, staging_table
from purchase_pipeline.postgres.write.type_resolution import release_savepoint, resolve_alone
from purchase_pipeline.postgres.write.upsert import merge_staged, require_columns
from purchase_pipeline.postgres.write_options import WriteOptions


@dataclass(frozen=True)
class WriteResult:
    """What was written.

    Attributes:
        table: the table as it stands now; None: there is none, for not one column is known.
        declared: the table as its author declares it, if so.
        copied: rows and bytes.
        seconds: from the first batch asked for to the last row stored.
        preview: the first rows, by column.
    """

    table: sa.Table | None
    declared: sa.Table | None
    copied: CopyResult
    seconds: float
    preview: Sequence[Mapping[str, Any]]


def write_batches(
    connection: sa.Connection,
    table_slice: TableSlice,
    batches: Iterator[Batch | DeclaredBatch],
    options: WriteOptions,
) -> WriteResult:
    """Write the batches, after the table was made as the options allow. The slice's old rows are gone by now.

    Raises:
        SchemaDriftError: columns that are not the table's.
        DatabaseRefusalError: a table, or a change of it, that PostgreSQL refuses.
        UnstorableValueError: a value that its column cannot hold.
        RowsNotStoredError: a trigger or rule of the table dropped, moved or added rows.
        UnusableNameError: a column's name that PostgreSQL would cut.
    """
    started = time.perf_counter()
    batches = _with_row_numbers(with_lookahead(batches), f"{table_slice.schema}.{table_slice.table}")
    first = next(batches, None)
    if first is None:
        table = existing_table(connection, table_slice.schema, table_slice.table)
        return WriteResult(table, options.declared, CopyResult(0, 0), time.perf_counter() - started, [])
    if isinstance(first, DeclaredBatch):
        options = replace(options, declared=first.declared)
        first, preview = _with_head(first, options.preview_rows)
        incoming = declared_source(connection, first, batches)
    else:
        preview = _in_arrow("frames.to_python").python_dicts(
            first.types, first.frame.slice(0, options.preview_rows)
        )
        looks = options.schema_drift == "evolve"
        incoming = _in_arrow("write.frame_source").frame_source(connection, first, batches, looks=looks)
    table, copied = write_source(connection, table_slice, incoming, options)
    return WriteResult(table, options.declared, copied, time.perf_counter() - started, preview)


def _with_row_numbers(
    batches: Iterator[Batch | DeclaredBatch], table: str
) -> Iterator[Batch | DeclaredBatch]:
    """Yield the batches; what a frame refuses by its column and position is refused by the table's row.

    Raises:
        UnstorableValueError: a column or value that PostgreSQL has no type for.
    """
    number = 0
    try:
        for batch in batches:
            yield batch
            number += batch.frame.num_rows if isinstance(batch, Batch) else 0
    except RefusedValueError as error:
        row = None if error.position is None else number + error.position + 1
        raise UnstorableValueError(table, row, error.column, str(error)) from error


def write_source(
    connection: sa.Connection, table_slice: TableSlice, incoming: RowSource, options: WriteOptions
) -> tuple[sa.Table | None, CopyResult]:
    """Put the rows into the slice's table, made or changed as the options allow; return it, and what was written.

    Raises:
        SchemaDriftError, DatabaseRefusalError, UnstorableValueError, RowsNotStoredError, UnusableNameError: as
            `write_batches` does.
    """
    check_names(incoming.types)
    require_columns(table_slice, incoming.types, options)
    table = existing_table(connection, table_slice.schema, table_slice.table)
    if table is None:
        table = _created(connection, table_slice, incoming.types, options)
    changes = _changes(connection, table, incoming, table_slice, options)
    if changes and options.schema_drift == "freeze":  # else this writer has the table alone already
        table = resolve_alone(connection, table, table_slice)
        changes = _changes(connection, table, incoming, table_slice, options)
    else:
        release_savepoint(table)
    watch = SliceVerifier(connection, table, table_slice, incoming.types, options.write_mode)
    if options.merges:
        copied = _Staging(connection, table, incoming, changes, watch).merge(options)
    elif changes or watch.inspects_first or (watch.interferes and not incoming.counted):
        copied = _Staging(connection, table, incoming, changes, watch).move()
    else:
        copied = incoming.copy_into(table)
    if not options.merges:
        watch.require(copied.rows)
    if changes:
        return existing_table(connection, table_slice.schema, table_slice.table), copied
    return table, copied


def _created(
    connection: sa.Connection,
    table_slice: TableSlice,
    types: Mapping[str, ColumnType],
    options: WriteOptions,
) -> sa.Table:
    declared = options.declared
    if declared is None:
        declared = inferred_table(table_slice.table, types)
    table = with_keys(
        renamed(declared, table_slice.schema, table_slice.table),
        options.upsert_keys,
        partition_columns(table_slice, list(types)),
    )
    with table_errors(connection, table):
        if options.hash_partitions:
            columns = hash_columns(table, table_slice, options.upsert_keys)
            create_with_hash_partitions(connection, table, columns, options.hash_partitions)
        else:
            create_if_missing(connection, [table])
    slice_conditions(
        connection, table, table_slice
    )  # a partition_expr that cannot work is refused from the start
    return table


def _in_arrow(module: str) -> Any:  # noqa: ANN401
    """Return a module that needs pyarrow: streams that are declared, and queries, do without."""
    return import_module(f"purchase_pipeline.postgres.{module}")


def _with_head(batch: DeclaredBatch, count: int) -> tuple[DeclaredBatch, list[dict[str, Any]]]:
    """Return the batch, with its first rows as well."""
    rows = iter(batch.rows)
    head = list(islice(rows, count))
    return replace(batch, rows=chain(head, rows)), [dict(zip(batch.types, row, strict=True)) for row in head]


def _changes(
    connection: sa.Connection,
    table: sa.Table,
    incoming: RowSource,
    table_slice: TableSlice,
    options: WriteOptions,
) -> dict[str, sa.Column[Any]]:
    declared = options.declared.columns if options.declared is not None else None
    emptied = options.write_mode == "replace" and not table_slice.partition_dimensions
    native: Mapping[str, NativeType] = {} if incoming.declared else native_types(connection, table)
    differences = differences_between(
        incoming.types,
        lambda name: incoming.declared or incoming.fits(name, native[name]),
        table.columns,
        declared,
        emptied=emptied,
    )
    return settle(list(differences), table, options.schema_drift)


@dataclass(frozen=True)
class _Staging:
    """Rows that do not go into their table at once: they are staged, looked at, and moved or merged from there."""

    connection: sa.Connection
    table: sa.Table
    incoming: RowSource
    changes: Mapping[str, sa.Column[Any]]
    watch: SliceVerifier

    def move(self) -> CopyResult:
        """Add the rows to the table."""
        with self._staged() as (staged, copied):
            require_all(self.table, copied.rows, insert_staged(self.connection, staged, self.table))
        return copied

    def merge(self, options: WriteOptions) -> CopyResult:
        """Merge the rows into the table by their keys."""
        with self._staged(options.upsert_keys) as (staged, copied):
            merged = merge_staged(self.connection, staged, self.table, options, copied)
            self.watch.require_merged(staged, options.upsert_keys)
        return merged

    @contextmanager
    def _staged(self, nullable: Sequence[str] = ()) -> Iterator[tuple[sa.Table, CopyResult]]:
        """Put the rows into a table of their own first, then change the one that they go to.

        A changing table is locked for its readers until the commit: so it changes when all rows are there.
        """
        table, types = self.table, self.incoming.types
        columns = [self.changes[name] if name in self.changes else table.columns[name] for name in types]
        with table_errors(self.connection, table):
            staged = staging_table(self.connection, table, columns, nullable=nullable)
            staged.info[ROWS_OF] = table
        try:
            copied = self.incoming.copy_into(staged)
        except UnstorableValueError as error:  # of the table that they go to, for all that anybody knows
            reason = error.reason.replace(f'"{staged.name}"', f'"{table.name}"')
            raise UnstorableValueError(str(table), error.row, error.column, reason) from error
        self.watch.look(staged, copied.rows)
        if self.changes:
            evolve(self.connection, table, self.changes)
        yield staged, copied
        staged.drop(self.connection, checkfirst=False)  # the transaction may need another
