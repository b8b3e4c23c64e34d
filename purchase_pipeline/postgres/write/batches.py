"""Write batches to a slice's table, atomically, inside the caller's transaction."""

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
from purchase_pipeline.postgres.frames.rows import Batch, CopyText, DeclaredBatch
from purchase_pipeline.postgres.schema.drift import differences_between, required_changes
from purchase_pipeline.postgres.schema.evolution import evolve
from purchase_pipeline.postgres.schema.hash_partitions import create_with_hash_partitions, hash_columns
from purchase_pipeline.postgres.schema.native_types import NativeType, native_types
from purchase_pipeline.postgres.schema.table_errors import STAGED_FOR, table_errors
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
from purchase_pipeline.postgres.slices.slice import Slice
from purchase_pipeline.postgres.write.completeness import SliceVerifier
from purchase_pipeline.postgres.write.copy import CopyResult, require_all
from purchase_pipeline.postgres.write.lookahead import with_lookahead
from purchase_pipeline.postgres.write.row_source import RowSource, declared_source
from purchase_pipeline.postgres.write.staging import insert_staged, staging_table
from purchase_pipeline.postgres.write.type_resolution import release_savepoint, resolve_alone
from purchase_pipeline.postgres.write.upsert import merge_staged, require_columns
from purchase_pipeline.postgres.write_options import WriteOptions


@dataclass(frozen=True)
class WriteResult:
    """The result of a write.

    Attributes:
        table: the table as it exists now; None if there is none because no column is known.
        declared: the declared table, if any.
        copied: numbers of rows and bytes.
        seconds: from requesting the first batch to storing the last row.
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
    """Write the batches, creating or altering the table as the options allow. Old rows are already deleted.

    Raises:
        SchemaDriftError: the data's columns do not match the table's.
        DatabaseRefusalError: PostgreSQL rejects the table, or a change of it.
        UnstorableValueError: a value that its column cannot store.
        RowsNotStoredError: a trigger or rule of the table dropped, moved or added rows.
        UnusableNameError: PostgreSQL would truncate a column's name.
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
        batches = _adding_to(preview, batches, options.preview_rows)
        source = declared_source(connection, first, batches)
    else:
        preview = _in_arrow("frames.to_python").python_dicts(
            first.types, first.frame.slice(0, options.preview_rows)
        )
        check_values = options.schema_drift == "evolve"
        source = _in_arrow("write.frame_source").frame_source(
            connection, first, batches, check_values=check_values
        )
    table, copied = write_source(connection, table_slice, source, options)
    return WriteResult(table, options.declared, copied, time.perf_counter() - started, preview)


def _with_row_numbers(
    batches: Iterator[Batch | DeclaredBatch], table: str
) -> Iterator[Batch | DeclaredBatch]:
    """Yield the batches; translate errors from a position in a batch to a row of the table.

    Raises:
        UnstorableValueError: PostgreSQL has no type for a column or value.
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
    connection: sa.Connection, table_slice: TableSlice, source: RowSource, options: WriteOptions
) -> tuple[sa.Table | None, CopyResult]:
    """Write the rows to the slice's table, created or altered as the options allow; return it and the result.

    Raises:
        SchemaDriftError, DatabaseRefusalError, UnstorableValueError, RowsNotStoredError, UnusableNameError: as
            `write_batches` does.
    """
    check_names(source.types)
    require_columns(table_slice, source.types, options)
    table = existing_table(connection, table_slice.schema, table_slice.table)
    if table is None:
        table = _created(connection, table_slice, source.types, options)
    part = Slice(connection, table, table_slice)
    changes = _changes(part, source, options)
    if changes and options.schema_drift == "freeze":  # otherwise this writer has already locked the table
        part = resolve_alone(part)
        changes = _changes(part, source, options)
    else:
        release_savepoint(table)
    verifier = SliceVerifier(part, source.types, options.write_mode)
    if options.merges:
        copied = _Staging(part, source, changes, verifier).merge(options)
    elif changes or verifier.inspects_first or (verifier.interferes and not source.counted):
        copied = _Staging(part, source, changes, verifier).move()
    else:
        copied = source.copy_into(part.table)
    if not options.merges:
        verifier.check(copied.rows)
    if changes:
        return existing_table(connection, table_slice.schema, table_slice.table), copied
    return part.table, copied


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
    slice_conditions(connection, table, table_slice)  # validates partition_expr before a row is written
    return table


def _in_arrow(module: str) -> Any:  # noqa: ANN401
    """Import a module that needs pyarrow; declared streams and queries do not."""
    return import_module(f"purchase_pipeline.postgres.{module}")


def _with_head(batch: DeclaredBatch, count: int) -> tuple[DeclaredBatch, list[dict[str, Any]]]:
    """Return the batch, and its first rows."""
    if isinstance(batch.rows, CopyText):
        return batch, [dict(zip(batch.types, row, strict=True)) for row in islice(batch.rows, count)]
    rows = iter(batch.rows)
    head = list(islice(rows, count))
    return replace(batch, rows=chain(head, rows)), [dict(zip(batch.types, row, strict=True)) for row in head]


def _adding_to(
    preview: list[dict[str, Any]], batches: Iterator[Batch | DeclaredBatch], count: int
) -> Iterator[Batch | DeclaredBatch]:
    """Yield the batches; add their first rows to a preview of `count`, as the first batch may have a single one."""
    for batch in batches:
        if isinstance(batch, DeclaredBatch) and len(preview) < count:
            with_head, head = _with_head(batch, count - len(preview))
            preview += head
            yield with_head
        else:
            yield batch


def _changes(part: Slice, source: RowSource, options: WriteOptions) -> dict[str, sa.Column[Any]]:
    declared = options.declared.columns if options.declared is not None else None
    emptied = options.write_mode == "replace" and not part.bounds.partition_dimensions
    native: Mapping[str, NativeType] = {} if source.declared else native_types(part.connection, part.table)
    differences = differences_between(
        source.types,
        lambda name: source.declared or source.fits(name, native[name]),
        part.table.columns,
        declared,
        emptied=emptied,
    )
    return required_changes(list(differences), part.table, options.schema_drift)


@dataclass(frozen=True)
class _Staging:
    """Rows that are first staged and checked, then moved or merged into their table."""

    part: Slice
    source: RowSource
    changes: Mapping[str, sa.Column[Any]]
    verifier: SliceVerifier

    def move(self) -> CopyResult:
        """Append the rows to the table."""
        with self._staged() as (staged, copied):
            require_all(
                self.part.table, copied.rows, insert_staged(self.part.connection, staged, self.part.table)
            )
        return copied

    def merge(self, options: WriteOptions) -> CopyResult:
        """Merge the rows into the table by their keys."""
        with self._staged(options.upsert_keys) as (staged, copied):
            merged = merge_staged(self.part.connection, staged, self.part.table, options, copied)
            self.verifier.check_merged(staged, options.upsert_keys)
        return merged

    @contextmanager
    def _staged(self, nullable: Sequence[str] = ()) -> Iterator[tuple[sa.Table, CopyResult]]:
        """Stage the rows, then alter the target table.

        Altering a table locks out its readers until the commit, so that comes after all rows have arrived.
        """
        connection, table, types = self.part.connection, self.part.table, self.source.types
        columns = [self.changes[name] if name in self.changes else table.columns[name] for name in types]
        with table_errors(connection, table):
            staged = staging_table(connection, table, columns, nullable=nullable)
            staged.info[STAGED_FOR] = table
        try:
            copied = self.source.copy_into(staged)
        except UnstorableValueError as error:  # report the target table, not the staging table
            reason = error.reason.replace(f'"{staged.name}"', f'"{table.name}"')
            raise UnstorableValueError(str(table), error.row, error.column, reason) from error
        self.verifier.check_staged(staged, copied.rows)
        if self.changes:
            evolve(connection, table, self.changes)
        yield staged, copied
        staged.drop(connection, checkfirst=False)  # the transaction may create it again
