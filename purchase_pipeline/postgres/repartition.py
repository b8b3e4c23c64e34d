"""A table made anew beside itself, in one piece or in parts, while it is read and written; then put in its own place.

Rows are copied slice by slice: those of one value of a column, which each write names. Triggers note, in the writer's
own transaction, which slices were written meanwhile; those are copied again. Whoever is stopped goes on where it stood:
what there is to copy is in the database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import NamedTuple

import psycopg
import sqlalchemy as sa

from purchase_pipeline.postgres.belongings import (
    hand_on_comment_and_grants,
    in_the_way,
    put_in_place,
    statements_of_views,
)
from purchase_pipeline.postgres.locks import Lock, hold_slice, hold_while_connected
from purchase_pipeline.postgres.parts import Shape, make_alike, shape_of
from purchase_pipeline.postgres.schema.tables import check_names
from purchase_pipeline.postgres.slice_marks import SliceMarks
from purchase_pipeline.postgres.statements import Name, execute, execute_text, quoted

_WRITERS = "60s"
_READERS = "2s"
"""How long writers, and readers, may stand in line behind us for a lock; after a second, autovacuum lets us have it."""

_PREDECESSOR = "3s"

_MOST_AT_THE_SWAP = 5  # slices copied while writers wait

_DIFFERING = """
    SELECT slice.key FROM (SELECT {column} AS key, count(*) AS rows FROM {old} GROUP BY 1) AS old
    FULL JOIN (SELECT {column} AS key, count(*) AS rows FROM {new} GROUP BY 1) AS new USING (key) AS slice
    WHERE old.rows IS DISTINCT FROM new.rows
    AND NOT EXISTS (SELECT FROM {marks} AS mark WHERE mark.{column} = slice.key) ORDER BY 1
"""
_COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod), attnotnull, attgenerated FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


class CannotRepartitionError(Exception):
    """The table is as it was, and somebody has to do something before it can be made anew."""


class Swapped(NamedTuple):
    """What a swap came to: rows that it still copied, while writers waited; seconds, but for the commit, of readers."""

    rows: int
    seconds: float


class Repartition:
    """One table on its way into another shape. Each step is a transaction, or several, of its own."""

    def __init__(self, connection: sa.Connection, table: Name, column: str) -> None:
        self._connection = connection
        self._table = table
        self._column = column
        self._new = table.beside(f"{table.name}_next")
        self._kept = table.beside(f"{table.name}_old")
        self._marks = SliceMarks(table, self._new, column)
        check_names([self._new.name, self._kept.name, f"{self._marks.place.name}_truncate"])
        self._alone()

    @property
    def shape(self) -> Shape | None:
        """The shape that the table has; None: there is no table."""
        with self._connection.begin():
            return shape_of(self._connection, self._table)

    @property
    def begun(self) -> Shape | None:
        """The shape that it is being given; None: nothing is under way."""
        with self._connection.begin():
            return shape_of(self._connection, self._new)

    def begin(self, parts: int) -> None:
        """Make the new table, in so many parts or in one piece (0), and have every write noted from now on.

        Raises:
            CannotRepartitionError: something depends on the table that could not be handed on.
            sqlalchemy.exc.OperationalError: a lock was not to be had in time.
        """
        with self._step():
            self._keep_out_writers()
            self._refuse_what_is_in_the_way()
            make_alike(self._connection, self._table, self._new, self._column, parts)
            hand_on_comment_and_grants(self._connection, self._table, self._new)
            self._marks.create(self._connection)

    def mark_rest(self) -> None:
        """Note all slices that are not copied yet: when there is a new table, be it one that somebody else began."""
        with self._step():
            self._marks.add_unmarked(self._connection)

    def left(self) -> list[str]:
        """Return the slices that are still to be copied, in order."""
        with self._step():
            return self._marks.marked(self._connection)

    def copy(self, key: str) -> int:
        """Copy one slice, while no writer that takes the lock of `hold_slice` is at it; return its rows."""
        with self._step():
            hold_slice(self._connection, *self._table, key)
            return self._copy(key)

    def settle(self) -> None:
        """Vacuum and analyze the new table: its first readers shall find it as good as the old."""
        with self._connection.begin():
            # Else what this connection has counted since its last report would be counted on top of what is found.
            self._connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        autocommit = self._connection.engine.execution_options(isolation_level="AUTOCOMMIT")
        with autocommit.connect() as connection:
            connection.exec_driver_sql("SET statement_timeout = 0")  # the role's may be too short
            execute(connection, "VACUUM (ANALYZE) {new}", new=self._new)

    def compare(self) -> None:
        """Hold the rows of each slice in both tables against each other, but for slices still to be copied.

        Raises:
            CannotRepartitionError: they differ.
        """
        with self._step():
            differing = execute(
                self._connection,
                _DIFFERING,
                column=self._column,
                old=self._table,
                new=self._new,
                marks=self._marks.place,
            ).scalars()
            if found := list(differing):
                raise CannotRepartitionError(
                    f"{len(found)} slices differ between {self._table} and its copy ({', '.join(map(str, found[:5]))}, "
                    "...): rows were written past its triggers. Nothing was put in place; give this copy up, and begin "
                    "anew."
                )

    def swap(self, *, keep: bool) -> Swapped | None:
        """Put the new table in the old one's place; return None when too much has been written just now.

        Writers wait until the slices that they have written last are copied; readers, while names change.

        Raises:
            CannotRepartitionError: the table's columns have changed, or something has come to depend on it.
            sqlalchemy.exc.OperationalError: a lock was not to be had in time (LockNotAvailable, DeadlockDetected).
        """
        connection = self._connection
        with self._step():
            self._keep_out_writers()
            self._refuse_what_is_in_the_way()
            marked = self._marks.marked(connection)
            if len(marked) > _MOST_AT_THE_SWAP:
                return None
            rows = sum(map(self._copy, marked))
            asked = perf_counter()
            execute(connection, "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE", table=self._table)
            views = statements_of_views(connection, self._table)
            self._marks.drop(connection)
            put_in_place(connection, self._table, self._new, self._kept.name)
            for view in views:
                execute_text(connection, view)
            if not keep:
                execute(connection, "DROP TABLE {kept}", kept=self._kept)
            # What the commit has still to do for long, as removing the old table's files, is done without the locks.
            return Swapped(rows, perf_counter() - asked)

    def abandon(self) -> None:
        """Leave the table as it is: what notes its writes, the notes and the copy go.

        Raises:
            sqlalchemy.exc.OperationalError: a lock was not to be had in time.
        """
        with self._step():
            self._keep_out_writers()
            execute(self._connection, "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE", table=self._table)
            self._marks.drop(self._connection)
            execute(self._connection, "DROP TABLE {new}", new=self._new)

    def _copy(self, key: str) -> int:
        self._marks.remove(self._connection, key)
        names = {"new": self._new, "column": self._column, "old": self._table}
        execute(self._connection, "DELETE FROM {new} WHERE {column} = %s", [key], **names)
        columns = [name for name, _, _, generated in self._columns(self._new) if not generated]
        return execute(
            self._connection,
            "INSERT INTO {new} ({columns}) OVERRIDING SYSTEM VALUE "
            "SELECT {columns} FROM {old} WHERE {column} = %s",
            [key],
            columns=columns,
            **names,
        ).rowcount

    def _refuse_what_is_in_the_way(self) -> None:
        found = in_the_way(self._connection, self._table, self._marks.place)
        if found:
            raise CannotRepartitionError(
                f"{self._table} has what a table in its place would not have: {'; '.join(found)}. Drop that first, and "
                "make it again after."
            )
        if shape_of(self._connection, self._kept) is not None:
            raise CannotRepartitionError(
                f"{self._kept} is there, which an earlier run was told to keep. Drop it first: DROP TABLE {self._kept};"
            )
        news, olds = self._columns(self._new), self._columns(self._table)
        if news and news != olds:
            raise CannotRepartitionError(
                f"The columns of {self._table} were changed since its copy was begun. Give the copy up, and begin anew."
            )

    def _columns(self, table: Name) -> list[tuple[str, ...]]:
        return [tuple(row) for row in self._connection.exec_driver_sql(_COLUMNS, (quoted(table),))]

    def _alone(self) -> None:
        try:
            with self._connection.begin():
                # What a killed process of ours asked for ends that soon, and its lock with it.
                self._connection.exec_driver_sql("SET client_connection_check_interval = '1s'")
                self._wait_for_locks(_PREDECESSOR)
                hold_while_connected(self._connection, Lock(("repartition", *self._table)))
        except sa.exc.OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            raise CannotRepartitionError(f"Another process is making {self._table} anew just now.") from error

    @contextmanager
    def _step(self) -> Iterator[None]:
        """Open a transaction, as the table's owner: what is made in it belongs to them."""
        with self._connection.begin():
            self._wait_for_locks(_WRITERS)
            owner = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass(%s)"
            for role in self._connection.exec_driver_sql(owner, (quoted(self._table),)).scalars().all():
                execute(self._connection, "SET LOCAL ROLE {role}", role=role)
            # Names of what is written here are whole; a view's definition is told with whole ones, too.
            execute_text(self._connection, "SET LOCAL search_path = pg_catalog")
            yield

    def _keep_out_writers(self) -> None:
        """Keep all writers out: ours, who queue for as long as a load takes; then others, and nobody waits for long."""
        hold_slice(self._connection, *self._table, None)
        self._wait_for_locks(_READERS)
        execute(self._connection, "LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE", table=self._table)

    def _wait_for_locks(self, timeout: str) -> None:
        self._connection.exec_driver_sql("SELECT set_config('lock_timeout', %s, true)", (timeout,))
