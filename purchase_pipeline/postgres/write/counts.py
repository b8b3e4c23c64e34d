"""Row counts of a table and its slice after a write: exact, or unknown.

A small table is counted. For a large one the ledger's rows are added up, if they cover the table: it was small when its
entries began, only this asset has written it since, its slices do not overlap, and no trigger, rule, cascade or crash
removes rows. Changes to a large table outside the IO manager go unnoticed.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import TableSlice
from purchase_pipeline.postgres.schema.table_facts import table_facts
from purchase_pipeline.postgres.slices.ledger import recorded_rows
from purchase_pipeline.postgres.slices.partitions import Target, rows_by_partition
from purchase_pipeline.postgres.slices.slice import Slice
from purchase_pipeline.postgres.write.copy import CopyResult
from purchase_pipeline.postgres.write.upsert import MergeResult
from purchase_pipeline.postgres.write_options import WriteMode


class Counts(NamedTuple):
    """Row counts after a write.

    Attributes:
        slices: rows by partition, for the ledger.
        exact: whether these are the slices' row counts; if not, the rows written last.
        table: rows of the whole table; None: unknown.
        table_oid: the table's OID.
        cut_by: how the table is partitioned, if the ledger's entries cover all its rows.
    """

    slices: Mapping[str, int]
    exact: bool
    table: int | None
    table_oid: int | None = None
    cut_by: str | None = None


class Counting:
    """Counts the rows of one write, before it is recorded in the ledger."""

    def __init__(
        self,
        connection: sa.Connection,
        context: dg.OutputContext,
        target: Target,
        table: sa.Table,
        asset: str,
    ) -> None:
        self._connection, self._target, self._table = connection, target, table
        self._definition = context.asset_partitions_def if target.keys else None
        facts = table_facts(connection, table)
        self._oid, self._small = facts.oid, facts.small
        self._steady = facts.steady and not facts.interferes
        self._cut_by = _partitioning(target.table_slice, self._definition)
        schema, keys = target.table_slice.schema, target.keys or [""]
        self._known = recorded_rows(connection, schema, asset, (self._oid, self._cut_by), keys)

    def counts(self, copied: CopyResult, write_mode: WriteMode) -> Counts:
        """Return the rows of the slices and of the table."""
        known, whole = self._known, write_mode == "replace" and not self._target.keys
        complete = self._steady and not (isinstance(copied, MergeResult) and self._target.keys)
        if not whole:
            complete = complete and (known.complete if known.entries else self._small and not known.shared)
        before = 0 if write_mode == "replace" else known.slices if complete else None
        slices, exact = self._slices(copied, before)
        total = None
        if whole:
            total = copied.rows
        elif complete:
            total = known.table - known.slices + sum(slices.values())
        if self._small:
            everything = self._target.table_slice._replace(partition_dimensions=None)
            counted = Slice(self._connection, self._table, everything).count()
            complete, total = complete and counted == total, counted
        return Counts(slices, exact, total, self._oid, self._cut_by if complete else None)

    def _slices(self, copied: CopyResult, before: int | None) -> tuple[Mapping[str, int], bool]:
        """Return the rows by partition, and whether they are exact: previous rows, if known, plus added ones."""
        target, added = self._target, copied.inserted if isinstance(copied, MergeResult) else copied.rows
        if self._definition is not None and len(target.keys) > 1:
            return rows_by_partition(self._connection, self._table, target, self._definition), True
        key = target.keys[0] if target.keys else ""
        if self._small:
            return {key: Slice(self._connection, self._table, target.table_slice).count()}, True
        return {key: copied.rows if before is None else before + added}, before is not None


def _partitioning(table_slice: TableSlice, definition: dg.PartitionsDefinition[str] | None) -> str:
    """Describe how a table is partitioned: slices of one partitioning do not overlap."""
    parts = [definition]
    if isinstance(definition, dg.MultiPartitionsDefinition):
        parts = [part.partitions_def for part in definition.partitions_defs]
    return json.dumps(
        [
            [dimension.partition_expr, part.cron_schedule, part.timezone, part.fmt]
            if isinstance(part, dg.TimeWindowPartitionsDefinition)
            else [dimension.partition_expr]
            for dimension, part in zip(table_slice.partition_dimensions or (), parts, strict=False)
        ]
    )
