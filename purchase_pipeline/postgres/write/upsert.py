"""Merges of staged rows into a table by keys: inserted, updated if different, or unchanged; all counted."""

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
from purchase_pipeline.postgres.slices.ledger import iso_text
from purchase_pipeline.postgres.write.copy import CopyResult, require_all
from purchase_pipeline.postgres.write.duplicates import drop_duplicates, merge_duplicates, null_keys
from purchase_pipeline.postgres.write.staging import untyped, write_rows
from purchase_pipeline.postgres.write.unique_indexes import UniqueIndexes, unique_indexes
from purchase_pipeline.postgres.write_options import WriteOptions

_NO_INDEX = (psycopg.errors.InvalidColumnReference, psycopg.errors.ObjectNotInPrerequisiteState)
_NOT_ALLOWED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported)
_Columns = Mapping[str, sa.ColumnElement[Any]] | sa.ColumnCollection[str, Any]


@dataclass(frozen=True)
class MergeResult(CopyResult):
    """The result of a merge.

    Attributes:
        inserted: new rows.
        updated: existing rows that changed.
        older: rows skipped for a newer version, in the table or in the data; None without `newest`.
        cursor: the greatest value of the cursor's column in the data, as text; None without rows, or a cursor.
    """

    inserted: int
    updated: int
    older: int | None
    cursor: str | None = None

    def counts(self) -> dict[str, int | None]:
        """Return all counts by name. Unchanged rows are identical to existing ones, or duplicates.

        For inserts, unchanged rows are those whose keys existed.
        """
        unchanged = self.rows - self.inserted - self.updated - (self.older or 0)
        return {
            "rows_inserted": self.inserted,
            "rows_updated": self.updated,
            "rows_unchanged": unchanged,
            "rows_older": self.older,
        }


def require_columns(table_slice: TableSlice, names: Collection[str], options: WriteOptions) -> None:
    """Check that the data have the columns of the keys, of `newest` and of `cursor`.

    Raises:
        UnusableMetadataError: a column is missing.
    """
    required = {
        "upsert_keys": options.upsert_keys,
        "newest": filter(None, [options.newest]),
        "cursor": filter(None, [options.cursor]),
    }
    for option, columns in required.items():
        missing = [column for column in columns if column not in names]
        if missing:
            raise UnusableMetadataError(
                f"Table {table_slice.schema}.{table_slice.table}: {option} {missing!r} are not columns of the data: "
                f"{list(names)!r}."
            )


def merge_staged(
    connection: sa.Connection, staged: sa.Table, table: sa.Table, options: WriteOptions, copied: CopyResult
) -> MergeResult:
    """Merge the rows into the table: insert those with new keys; in an upsert, update those that differ.

    Raises:
        UnusableMetadataError: the keys have no unique index, or `newest` or `cursor` has no order.
        UnstorableValueError: staged rows have duplicate keys, or a constraint of the table rejects a row.
        RowsNotStoredError: a row is missing from the table afterwards.
        PostgresWriteError: the role may not merge into the table, or PostgreSQL cannot.
    """
    keys, names = options.upsert_keys, [column.name for column in staged.columns]
    rows, target = untyped(staged, names), untyped(table, names)
    indexes = unique_indexes(connection, table, keys)
    nulls = null_keys(connection, rows, keys)
    if nulls and not indexes.nulls_equal:
        raise _null_key(table, nulls)
    for option in ("newest", "cursor"):
        _require_order(connection, rows, table, option, getattr(options, option))
    cursor = _greatest(connection, rows, options.cursor)
    if options.duplicate_keys == "merge":
        older = merge_duplicates(connection, rows, keys, options)
    else:
        older = drop_duplicates(connection, rows, table, keys, options.newest)
    pair = _Merge(rows, target, options, nulls)
    with _merge_errors(table, keys, indexes):
        updated = 0
        if options.write_mode == "upsert" and pair.compared:
            updated = write_rows(connection, pair.update(), table)
        inserted = write_rows(connection, pair.insert(options.write_mode), table)
    there = copied.rows - inserted - updated
    if there or table_facts(connection, table).interferes:
        stored, stale = connection.execute(pair.count()).one()
        dropped = copied.rows - connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one()
        require_all(table, copied.rows, stored + dropped)
        older += stale
    return MergeResult(
        copied.rows, copied.bytes, inserted, updated, None if options.newest is None else older, cursor
    )


class _Merge:
    """The statements that merge staged rows into their table.

    The update runs before the insert, which then meets existing keys only if another writer inserts them meanwhile:
    these rows are updated.
    """

    def __init__(
        self,
        staged: sa.TableClause,
        target: sa.TableClause,
        options: WriteOptions,
        nulls: Collection[str],
    ) -> None:
        keys, ignored = options.upsert_keys, options.upsert_ignores
        self.others = [column.name for column in staged.columns if column.name not in keys]
        self.compared = [name for name in self.others if name not in ignored]
        self._staged, self._target, self._keys, self._newest = staged, target, keys, options.newest
        self._same = sa.and_(*(self._equal(key, null=key in nulls) for key in keys))

    def update(self) -> sa.Update:
        """Update rows that differ. Bytes are compared: json and xml have no equality, and 1.0 equals 1.00."""
        old, new = ([rows.columns[name] for name in self.compared] for rows in (self._target, self._staged))
        differ = sa.func.record_image_ne(sa.func.row(*old), sa.func.row(*new))
        return (
            sa.update(self._target)
            .values({name: self._staged.columns[name] for name in self.others})
            .where(self._same, differ, *self._not_older(self._staged.columns))
        )

    def insert(self, write_mode: str) -> Insert:
        """Insert rows with new keys."""
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
        """Count the staged rows whose keys are in the table, and those of them that are older."""
        older = sa.false() if self._newest is None else ~sa.and_(*self._not_older(self._staged.columns))
        pairs = self._staged.join(self._target, self._same)
        return sa.select(sa.func.count(), sa.func.count().filter(older)).select_from(pairs)

    def _equal(self, key: str, *, null: bool) -> sa.ColumnElement[bool]:
        old, new = self._target.columns[key], self._staged.columns[key]
        return sa.or_(old == new, sa.and_(old.is_(None), new.is_(None))) if null else old == new

    def _not_older(self, new: _Columns) -> list[sa.ColumnElement[bool]]:
        if self._newest is None:
            return []
        known, candidate = self._target.columns[self._newest], new[self._newest]
        return [sa.or_(known.is_(None), sa.func.coalesce(candidate >= known, sa.false()))]


def _greatest(connection: sa.Connection, staged: sa.TableClause, column: str | None) -> str | None:
    if column is None:
        return None
    # Not max(), which some ordered types lack, such as uuid before PostgreSQL 18.
    value = staged.columns[column]
    query = sa.select(iso_text(value)).where(value.is_not(None)).order_by(value.desc()).limit(1)
    return connection.execute(query).scalar()


def _null_key(table: sa.Table, nulls: dict[str, int]) -> UnstorableValueError:
    key, rows = next(iter(nulls.items()))
    reason = (
        f"{rows} {'row has' if rows == 1 else 'rows have'} NULL in this column of upsert_keys. NULLs are distinct, so "
        "each run would add them again: give them a value, or make the unique index NULLS NOT DISTINCT (PostgreSQL 15)."
    )
    return UnstorableValueError(str(table), None, key, reason)


def _require_order(
    connection: sa.Connection, staged: sa.TableClause, table: sa.Table, option: str, name: str | None
) -> None:
    if name is None:
        return
    column = staged.columns[name]
    try:
        connection.execute(sa.select(column).order_by(column).limit(0))
    except sa.exc.ProgrammingError as error:
        if not isinstance(error.orig, psycopg.errors.UndefinedFunction):
            raise
        raise UnusableMetadataError(
            f"Table {table}: {option} {name!r} has no order ({error.orig.diag.message_primary}). Use a column of "
            "times or numbers."
        ) from error


@contextmanager
def _merge_errors(table: sa.Table, keys: Sequence[str], indexes: UniqueIndexes) -> Iterator[None]:
    """Translate PostgreSQL's errors to the asset's metadata."""
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
            reason = f"several rows have the same {', '.join(keys)} in the unique index"
            raise UnstorableValueError(str(table), None, None, reason) from error
        if isinstance(error.orig, _NOT_ALLOWED):
            raise PostgresWriteError(
                f"Rows cannot be merged into table {table}: {error.orig.diag.message_primary}. Its row security, rules "
                "or privileges do not allow it: change them, or write to another table."
            ) from error
        raise
