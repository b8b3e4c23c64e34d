"""Batches into a slice's table: whole or not at all, inside the transaction that the caller opened."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

import sqlalchemy as sa
from dagster._core.storage.db_io_manager import TableSlice

from purchase_pipeline.postgres.frames.rows import Batch, Row
from purchase_pipeline.postgres.options import WriteOptions
from purchase_pipeline.postgres.schema.drift import differences_between, follow, settle
from purchase_pipeline.postgres.schema.tables import (
    check_names,
    create_if_missing,
    existing_table,
    inferred_table,
    placed,
    with_keys,
)
from purchase_pipeline.postgres.schema.types import ColumnType
from purchase_pipeline.postgres.slices.conditions import partition_columns, slice_conditions
from purchase_pipeline.postgres.write.coercion import fitted_rows, next_batch
from purchase_pipeline.postgres.write.copy import Copied, copy_rows
from purchase_pipeline.postgres.write.staging import insert_staged, staging_table, upsert_staged
from purchase_pipeline.postgres.write.stored import SliceWatch, require_all


@dataclass(frozen=True)
class Written:
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
    copied: Copied
    seconds: float
    preview: Sequence[Mapping[str, Any]]


def write_batches(
    connection: sa.Connection, table_slice: TableSlice, batches: Iterator[Batch], options: WriteOptions
) -> Written:
    """Write the batches, after the table was made as the options allow. The slice's old rows are gone by now.

    Raises:
        SchemaDriftError: columns that are not the table's.
        UnstorableValueError: a value that its column cannot hold.
        RowsNotStoredError: a trigger or rule of the table dropped, moved or added rows.
        UnusableNameError: a column's name that PostgreSQL would cut.
    """
    started = time.perf_counter()
    first = next_batch(batches, f"{table_slice.schema}.{table_slice.table}", rows_before=0)
    if first is None or not first.types:
        table = existing_table(connection, table_slice.schema, table_slice.table)
        return Written(table, options.declared, Copied(0, 0), time.perf_counter() - started, [])
    if first.declared is not None:
        options = replace(options, declared=first.declared)
    evolving = options.schema_drift == "evolve"
    first, head = _with_rows_at_hand(first, None if evolving else options.preview_rows)

    def copy_into(table: sa.Table) -> Copied:
        return copy_rows(connection, table, list(first.types), fitted_rows(first, batches, table))

    incoming = Incoming(first.types, head if evolving else (), copy_into, counted=True)
    table, copied = put_in_place(connection, table_slice, incoming, options)
    preview = [dict(zip(first.types, row, strict=True)) for row in head[: options.preview_rows]]
    return Written(table, options.declared, copied, time.perf_counter() - started, preview)


@dataclass(frozen=True)
class Incoming:
    """Rows on their way into a table.

    Attributes:
        types: their columns, in order.
        rows: the first of them, or none: what has to be looked at to tell whether the table's columns hold them.
        put_into: writes them all into a table that has the columns.
        counted: whether it fails where the table takes fewer than there are; else it cannot know.
    """

    types: Mapping[str, ColumnType]
    rows: Sequence[Row]
    put_into: Callable[[sa.Table], Copied]
    counted: bool


def put_in_place(
    connection: sa.Connection, table_slice: TableSlice, incoming: Incoming, options: WriteOptions
) -> tuple[sa.Table | None, Copied]:
    """Put the rows into the slice's table, made or changed as the options allow; return it, and what was written.

    Raises:
        SchemaDriftError, UnstorableValueError, RowsNotStoredError, UnusableNameError: as `write_batches` does.
    """
    check_names(incoming.types)
    table = existing_table(connection, table_slice.schema, table_slice.table)
    if table is None:
        table = _created(connection, table_slice, incoming.types, options)
    changes = _changes(table, incoming, options)
    watch = SliceWatch(connection, table, table_slice, incoming.types, options.write_mode)
    if options.write_mode == "upsert":
        staged, copied = _staged(connection, table, incoming, changes, watch)
        taken = upsert_staged(connection, staged, table, options.upsert_keys)
        watch.require_merged(staged, options.upsert_keys, handed=copied.rows, taken=taken)
    elif changes or watch.looks_first or (watch.interferes and not incoming.counted):
        copied = _moved(connection, table, incoming, changes, watch)
    else:
        copied = incoming.put_into(table)
    if options.write_mode != "upsert":
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
        placed(declared, table_slice.schema, table_slice.table),
        options.upsert_keys,
        partition_columns(table_slice, list(types)),
    )
    create_if_missing(connection, [table])
    slice_conditions(
        connection, table, table_slice
    )  # a partition_expr that cannot work is refused from the start
    return table


def _with_rows_at_hand(batch: Batch, count: int | None) -> tuple[Batch, list[Row]]:
    """Return the batch, with its first rows as well; with all of them when no count is given."""
    rows = iter(batch.rows)
    head = list(islice(rows, count))
    return replace(batch, rows=chain(head, rows)), head


def _changes(table: sa.Table, incoming: Incoming, options: WriteOptions) -> dict[str, sa.Column[Any]]:
    declared = options.declared.columns if options.declared is not None else None
    differences = list(differences_between(incoming.types, incoming.rows, table.columns, declared))
    return settle(differences, table, options.schema_drift)


def _moved(
    connection: sa.Connection,
    table: sa.Table,
    incoming: Incoming,
    changes: Mapping[str, sa.Column[Any]],
    watch: SliceWatch,
) -> Copied:
    staged, copied = _staged(connection, table, incoming, changes, watch)
    require_all(table, copied.rows, insert_staged(connection, staged, table))
    return copied


def _staged(
    connection: sa.Connection,
    table: sa.Table,
    incoming: Incoming,
    changes: Mapping[str, sa.Column[Any]],
    watch: SliceWatch,
) -> tuple[sa.Table, Copied]:
    """Put the rows into a table of their own first, then change the one that they go to.

    A changing table is locked for its readers until the commit: so it changes when all rows are there.
    """
    staged = staging_table(connection, table, list(incoming.types), changes)
    copied = incoming.put_into(staged)
    watch.look(staged, copied.rows)
    follow(connection, table, changes)
    return staged, copied
