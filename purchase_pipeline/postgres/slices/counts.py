"""How many rows a table and its slice have after a write: what is known for certain, or nothing.

A small table is counted. Of a large one the ledger's rows are added up, if they are all that the table has: it was
empty when its asset first wrote it, the same asset has written it since, its slices do not overlap, and no trigger,
rule, cascade or crash takes rows away. What somebody else writes past the IO manager into a large table, nobody sees.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import dagster as dg
import sqlalchemy as sa
from dagster import TimeWindow
from dagster._core.storage.db_io_manager import TableSlice
from psycopg import sql

from purchase_pipeline.postgres.options import WriteMode
from purchase_pipeline.postgres.schema.interference import may_interfere
from purchase_pipeline.postgres.schema.tables import existing_table
from purchase_pipeline.postgres.slices.conditions import slice_conditions
from purchase_pipeline.postgres.slices.ledger import accounted_rows
from purchase_pipeline.postgres.slices.partitions import Target, rows_by_partition
from purchase_pipeline.postgres.write.copy import Copied
from purchase_pipeline.postgres.write.upsert import Merged

_SMALL_BYTES = 4 << 20  # counted within a few milliseconds
_FACTS = """
    SELECT oid::bigint, plain AND bytes <= %s,
        plain AND relpersistence = 'p' AND NOT EXISTS (
            SELECT FROM pg_constraint WHERE conrelid = pg_class.oid AND contype = 'f' AND confdeltype = 'c'
        )
    FROM pg_class, LATERAL (
        SELECT relkind = 'p' OR relkind = 'r' AND NOT relhassubclass,
            coalesce((SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree(pg_class.oid)), pg_relation_size(oid))
    ) AS size (plain, bytes) WHERE oid = to_regclass(%s)
"""


class Counts(NamedTuple):
    """Rows after a write.

    Attributes:
        slices: by partition, what the ledger notes.
        exact: the slices have just as many; else it is what was written last.
        table: of the whole table; None: not known.
        table_oid: PostgreSQL's number of the table.
        cut_by: how the table is cut, if the ledger's entries of this cut have all of its rows.
    """

    slices: Mapping[str, int]
    exact: bool
    table: int | None
    table_oid: int | None = None
    cut_by: str | None = None


def starts_empty(connection: sa.Connection, table_slice: TableSlice) -> bool:
    """Tell whether a table has no rows but those that are to come."""
    table = existing_table(connection, table_slice.schema, table_slice.table)
    if table is None:
        return True
    return not connection.execute(sa.select(sa.exists().select_from(table))).scalar_one()


class Counting:
    """The count of one write's rows, before the ledger knows of it."""

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
        self._oid, self._small, self._steady = self._facts()
        self._cut_by = _cut(target.table_slice, self._definition)
        schema, keys = target.table_slice.schema, target.keys or [""]
        self._known = accounted_rows(connection, schema, asset, (self._oid, self._cut_by), keys)

    def counts(self, copied: Copied, write_mode: WriteMode, *, found_empty: bool) -> Counts:
        """Return the rows of the slices and of the table, in which there were perhaps none but those of this write."""
        known, whole = self._known, write_mode == "replace" and not self._target.keys
        complete = self._steady and not (isinstance(copied, Merged) and self._target.keys)
        if not whole:
            complete = complete and (known.complete if known.entries else found_empty and not known.shared)
        before = 0 if write_mode == "replace" else known.slices if complete else None
        slices, exact = self._slices(copied, before)
        total = None
        if whole:
            total = copied.rows
        elif complete:
            total = known.table - known.slices + sum(slices.values())
        if self._small:
            counted = self._count([])
            complete, total = complete and counted == total, counted
        return Counts(slices, exact, total, self._oid, self._cut_by if complete else None)

    def _slices(self, copied: Copied, before: int | None) -> tuple[Mapping[str, int], bool]:
        """Return the rows by partition, and whether they are known: those before, if they are, and those added."""
        target, added = self._target, copied.inserted if isinstance(copied, Merged) else copied.rows
        if self._definition is not None and len(target.keys) > 1:
            return rows_by_partition(self._connection, self._table, target, self._definition), True
        key = target.keys[0] if target.keys else ""
        if self._small:
            conditions = slice_conditions(self._connection, self._table, target.table_slice)
            return {key: self._count(conditions)}, True
        return {key: copied.rows if before is None else before + added}, before is not None

    def _count(self, conditions: Sequence[sa.ColumnElement[bool]]) -> int:
        query = sa.select(sa.func.count()).select_from(self._table).where(*conditions)
        return self._connection.execute(query).scalar_one()

    def _facts(self) -> tuple[int, bool, bool]:
        """Return the table's number, whether it is small, and whether the IO manager alone changes its rows."""
        name = sql.Identifier(*filter(None, (self._table.schema, self._table.name))).as_string()
        oid, small, steady = self._connection.exec_driver_sql(_FACTS, (_SMALL_BYTES, name)).one()
        steady = steady and not _folds(self._table, self._target.table_slice)
        return oid, small, steady and not may_interfere(self._connection, self._table)


def _cut(table_slice: TableSlice, definition: dg.PartitionsDefinition[str] | None) -> str:
    """Say how a table is cut into slices: those of one cut do not overlap."""
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


def _folds(table: sa.Table, table_slice: TableSlice) -> bool:
    """Tell whether the slice is an hour that clocks show twice, as a column without a zone cannot tell it."""
    for expression, window in table_slice.partition_dimensions or ():
        column = table.columns.get(expression)
        zoned = column is not None and getattr(column.type, "timezone", False)
        if isinstance(window, TimeWindow) and not zoned:
            start, end = (bound.replace(tzinfo=None) for bound in window)
            if end <= start:
                return True
    return False
