"""Staged rows merged into a table by their keys: added, updated where they differ, or left alone; each counted."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Insert, insert

from purchase_pipeline.postgres.dagster_internals import TableSlice
from purchase_pipeline.postgres.errors import (
    PostgresWriteError,
    UnstorableValueError,
    UnusableMetadataError,
)
from purchase_pipeline.postgres.schema.table_facts import table_facts
from purchase_pipeline.postgres.write.completeness import require_all
from purchase_pipeline.postgres.write.copy import CopyResult
from purchase_pipeline.postgres.write.duplicates import drop_duplicates, null_keys
from purchase_pipeline.postgres.write.staging import untyped, write_rows
from purchase_pipeline.postgres.write.unique_indexes import UniqueIndexes, unique_indexes
from purchase_pipeline.postgres.write_options import WriteOptions

_NO_INDEX = (psycopg.errors.InvalidColumnReference, psycopg.errors.ObjectNotInPrerequisiteState)
_NOT_ALLOWED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported)
_Columns = Mapping[str, sa.ColumnElement[Any]] | sa.ColumnCollection[str, Any]


@dataclass(frozen=True)
class MergeResult(CopyResult):
    """What became of the rows that were handed over.

    Attributes:
        inserted: rows that were not there.
        updated: rows that were there, and were different.
        older: rows of which there was a newer version, in the table or in the data; None: nobody asked.
    """

    inserted: int
    updated: int
    older: int | None

    def counts(self) -> dict[str, int | None]:
        """Return all of them by name. Unchanged are rows that were there to the letter, or came twice.

        Of an insert, unchanged are those whose keys were there.
        """
        unchanged = self.rows - self.inserted - self.updated - (self.older or 0)
        return {
            "rows_inserted": self.inserted,
            "rows_updated": self.updated,
            "rows_unchanged": unchanged,
            "rows_older": self.older,
        }


def require_columns(table_slice: TableSlice, names: Collection[str], options: WriteOptions) -> None:
    """Make sure that the data have the columns that they are to be merged by.

    Raises:
        UnusableMetadataError: they have not.
    """
    wanted = {"upsert_keys": options.upsert_keys, "newest": filter(None, [options.newest])}
    for said, columns in wanted.items():
        missing = [column for column in columns if column not in names]
        if missing:
            raise UnusableMetadataError(
                f"Table {table_slice.schema}.{table_slice.table}: {said} {missing!r} are no columns of the data: "
                f"{list(names)!r}."
            )


def merge_staged(
    connection: sa.Connection, staged: sa.Table, table: sa.Table, options: WriteOptions, copied: CopyResult
) -> MergeResult:
    """Merge the rows into the table: add those whose keys it lacks; in an upsert, update those that differ.

    Raises:
        UnusableMetadataError: keys that no unique index of the table has, or a `newest` that has no order.
        UnstorableValueError: two staged rows of the same keys, or a row that the table's constraints refuse.
        RowsNotStoredError: a row that is not in the table in the end.
        PostgresWriteError: a table that the role may not, or PostgreSQL cannot, merge rows into.
    """
    keys, names = options.upsert_keys, [column.name for column in staged.columns]
    rows, target = untyped(staged, names), untyped(table, names)
    indexes = unique_indexes(connection, table, keys)
    nulls = null_keys(connection, rows, keys)
    if nulls and not indexes.nulls_equal:
        raise _null_key(table, nulls)
    _require_order(connection, rows, table, options.newest)
    older = drop_duplicates(connection, rows, table, keys, options.newest)
    pair = _Merge(rows, target, keys, nulls, options.newest)
    with _merge_errors(table, keys, indexes):
        updated = 0
        if options.write_mode == "upsert" and pair.others:
            updated = write_rows(connection, pair.update(), table)
        inserted = write_rows(connection, pair.insert(options.write_mode), table)
    there = copied.rows - inserted - updated
    if there or table_facts(connection, table).interferes:
        stored, stale = connection.execute(pair.count()).one()
        dropped = copied.rows - connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one()
        require_all(table, copied.rows, stored + dropped)
        older += stale
    return MergeResult(
        copied.rows, copied.bytes, inserted, updated, None if options.newest is None else older
    )


class _Merge:
    """Staged rows, and the rows of the same keys in the table that they go to.

    The update comes before the insert, which then has new rows alone, save those that somebody else inserts meanwhile:
    these it updates.
    """

    def __init__(
        self,
        staged: sa.TableClause,
        target: sa.TableClause,
        keys: Sequence[str],
        nulls: Collection[str],
        newest: str | None,
    ) -> None:
        self.others = [column.name for column in staged.columns if column.name not in keys]
        self._staged, self._target, self._keys, self._newest = staged, target, keys, newest
        self._same = sa.and_(*(self._equal(key, null=key in nulls) for key in keys))

    def update(self) -> sa.Update:
        """Update the rows that differ: in their bytes, for json or xml has no equality, and 1.0 equals 1.00."""
        old, new = ([rows.columns[name] for name in self.others] for rows in (self._target, self._staged))
        differ = sa.func.record_image_ne(sa.func.row(*old), sa.func.row(*new))
        return (
            sa.update(self._target)
            .values({name: self._staged.columns[name] for name in self.others})
            .where(self._same, differ, *self._not_older(self._staged.columns))
        )

    def insert(self, write_mode: str) -> Insert:
        """Insert the rows whose keys are not there."""
        there = sa.exists().where(self._same).correlate(self._staged)
        names = self._staged.columns.keys()
        new = insert(self._target).from_select(names, sa.select(self._staged).where(~there))
        if write_mode == "insert" or not self.others:
            return new.on_conflict_do_nothing(index_elements=self._keys)
        values = {name: new.excluded[name] for name in self.others}
        not_older = self._not_older(new.excluded)
        return new.on_conflict_do_update(
            index_elements=self._keys, set_=values, where=sa.and_(*not_older) if not_older else None
        )

    def count(self) -> sa.Select[int, int]:
        """Count the staged rows whose keys are in the table, and those of them that are older than what is there."""
        older = sa.false() if self._newest is None else ~sa.and_(*self._not_older(self._staged.columns))
        pairs = self._staged.join(self._target, self._same)
        return sa.select(sa.func.count(), sa.func.count().filter(older)).select_from(pairs)

    def _equal(self, key: str, *, null: bool) -> sa.ColumnElement[bool]:
        old, new = self._target.columns[key], self._staged.columns[key]
        return sa.or_(old == new, sa.and_(old.is_(None), new.is_(None))) if null else old == new

    def _not_older(self, new: _Columns) -> list[sa.ColumnElement[bool]]:
        if self._newest is None:
            return []
        known, told = self._target.columns[self._newest], new[self._newest]
        return [sa.or_(known.is_(None), sa.func.coalesce(told >= known, sa.false()))]


def _null_key(table: sa.Table, nulls: dict[str, int]) -> UnstorableValueError:
    key, rows = next(iter(nulls.items()))
    reason = (
        f"{rows} {'row has' if rows == 1 else 'rows have'} NULL in this column of upsert_keys. NULL equals nothing, so "
        "each run would add them again: give them a value, or make the unique index NULLS NOT DISTINCT (PostgreSQL 15)."
    )
    return UnstorableValueError(str(table), None, key, reason)


def _require_order(
    connection: sa.Connection, staged: sa.TableClause, table: sa.Table, newest: str | None
) -> None:
    if newest is None:
        return
    column = staged.columns[newest]
    try:
        connection.execute(sa.select(column).order_by(column).limit(0))
    except sa.exc.ProgrammingError as error:
        if not isinstance(error.orig, psycopg.errors.UndefinedFunction):
            raise
        raise UnusableMetadataError(
            f"Table {table}: newest {newest!r} has no order ({error.orig.diag.message_primary}). Name a time or a "
            "number."
        ) from error


@contextmanager
def _merge_errors(table: sa.Table, keys: Sequence[str], indexes: UniqueIndexes) -> Iterator[None]:
    """Say what PostgreSQL says of a merge in terms of the asset's metadata."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        if isinstance(error.orig, _NO_INDEX):
            unfit = f" ({', '.join(indexes.unfit)})" if indexes.unfit else ""
            raise UnusableMetadataError(
                f"Table {table} has no unique index on upsert_keys {list(keys)!r}{unfit}: "
                f"ALTER TABLE {table} ADD UNIQUE ({', '.join(keys)})."
            ) from error
        if isinstance(error.orig, psycopg.errors.CardinalityViolation):
            reason = f"several rows have the same {', '.join(keys)}, as the unique index compares them"
            raise UnstorableValueError(str(table), None, None, reason) from error
        if isinstance(error.orig, _NOT_ALLOWED):
            raise PostgresWriteError(
                f"Rows cannot be merged into table {table}: {error.orig.diag.message_primary}. Its row security, rules "
                "or grants do not allow it: change them, or write to another table."
            ) from error
        raise
