"""Errors. All are terminal, as the same data would fail again, except outages, lock timeouts and a standby.

A run raises them as `dg.Failure` too: see `failures`.

PostgresWriteError
 ├─ UnusableUrlError       a database URL that cannot be read
 ├─ UnusableNameError      a name that PostgreSQL would truncate, or cannot store
 ├─ UnusableMetadataError  asset metadata that is not a valid option
 ├─ UnstorableValueError   a value that its column cannot store unchanged
 ├─ RowsNotStoredError     the table received more or fewer rows than were given
 │   └─ RowsOutsideSliceError  rows that do not belong to the partition being written
 ├─ OutputReplacedError    an op's output that another run replaced before it was read
 ├─ RowsNotClearedError    old rows of the partition that cannot be deleted or seen
 ├─ LedgerVersionError     a ledger of a newer program, or of an older one that the role may not upgrade
 ├─ DatabaseRefusalError   PostgreSQL rejects the operation: missing privilege, dependent objects, ...
 └─ SchemaDriftError       the data's columns do not match the table's
"""

from collections.abc import Sequence

from purchase_pipeline import PipelineError


def printable(text: str) -> str:
    """Escape unprintable characters: row data must not act on a terminal or forge a log line."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


class PostgresWriteError(PipelineError, ValueError):
    """Nothing was written; the previous rows are unchanged.

    Attributes:
        table: the table, with its schema; None if not applicable.
        column: the column; None if no single one is at fault.
        sqlstate: PostgreSQL's error code; None if the error is not from PostgreSQL.
    """

    def __init__(
        self,
        message: str,
        *,
        table: str | None = None,
        column: str | None = None,
        sqlstate: str | None = None,
        transient: bool | None = None,
    ) -> None:
        super().__init__(message, transient=transient)
        self.table = table
        self.column = column
        self.sqlstate = sqlstate


class UnusableNameError(PostgresWriteError):
    """A schema, table or column name that PostgreSQL would truncate, or cannot store."""


class UnusableUrlError(PostgresWriteError):
    """A database URL that cannot be parsed. The message shows no part of it."""


class UnusableMetadataError(PostgresWriteError):
    """Asset metadata that the IO manager does not accept."""


class UnstorableValueError(PostgresWriteError):
    """A value that its column cannot store unchanged.

    Attributes:
        row: number of the row in the data, from 1; None if unknown.
        column: the column; None if the whole row is at fault.
        reason: why it cannot be stored.
    """

    def __init__(self, table: str, row: int | None, column: str | None, reason: str) -> None:
        location = (
            f"table {table}" + (f", row {row}" if row else "") + (f", column {column!r}" if column else "")
        )
        super().__init__(f"{location}: {printable(reason)}", table=table, column=column)
        self.row = row
        self.reason = reason

    def of(self, table: str) -> "UnstorableValueError":
        """Return the same error for the table that the rows were meant for."""
        return UnstorableValueError(table, self.row, self.column, self.reason)


_INTERFERENCE = (
    ": a trigger or rule of the table drops, moves or adds rows. Nothing was changed. Remove or change the "
    "trigger or rule (psql's \\d shows it), or write to another table."
)


class RowsNotStoredError(PostgresWriteError):
    """A trigger or rule of the table dropped, moved or added rows.

    Attributes:
        handed: rows that were given.
        stored: rows that would have been stored.
    """

    def __init__(self, table: str, handed: int, stored: int, reason: str = _INTERFERENCE) -> None:
        super().__init__(
            f"table {table}: {handed} rows were given, but {stored} would be stored{reason}",
            table=table,
        )
        self.handed = handed
        self.stored = stored


class UnreadableValueError(PipelineError, ValueError):
    """A stored value that the requested type cannot represent, such as `infinity` as a date."""


class OutputReplacedError(PostgresWriteError):
    """An op's output that another run replaced before it was read. Running the job again, alone, works."""

    def __init__(self, table: str, run_id: str, other_run_id: str | None) -> None:
        super().__init__(
            f"table {table} holds the output of run {other_run_id}, which replaced that of run {run_id} before it was "
            "read: all runs share the table of an op's output. Limit the job to one run at a time, make the op a "
            "partitioned asset, or store its output with another IO manager: dg.Out(io_manager_key=...)."
        )


class RowsOutsideSliceError(RowsNotStoredError):
    """Rows that do not belong to the partition being written; no later write of it would replace them."""

    def __init__(self, table: str, handed: int, outside: int, partition: str, example: str) -> None:
        rows, belong = ("1 row", "belongs") if outside == 1 else (f"{outside} rows", "belong")
        super().__init__(
            table,
            handed,
            handed - outside,
            f" in partition {printable(partition)}: {rows} {belong} to another one, such as {printable(example)}. "
            "Nothing was changed. Leave them out, or write them with their own partition.",
        )


class RowsNotClearedError(PostgresWriteError):
    """Old rows of the slice that a trigger, rule or policy of the table keeps: they would be duplicated."""


class LedgerVersionError(PostgresWriteError):
    """A ledger of a newer program, or of an older one that the role may not upgrade."""


class DatabaseRefusalError(PostgresWriteError):
    """PostgreSQL rejects an operation on a table, or rejects it for now; see `sqlstate`."""


class DatabaseOutageError(PipelineError):
    """The server or the connection failed: a full disk, a deadlock, a shutdown. Retrying may work.

    Attributes:
        sqlstate: PostgreSQL's error code; None if the connection failed.
    """

    transient = True

    def __init__(self, message: str, *, hint: str, sqlstate: str | None) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate


class UnfinishedReadError(PipelineError, OSError):
    """A read ended early: the connection was lost, or the server canceled the query. Retrying may work."""

    transient = True

    def __init__(self, table: str, words: str) -> None:
        message = printable(" ".join(words.split()))
        super().__init__(f"Reading table {table} ended early: {message}. Read it again from the start.")


class TableNotFoundError(PipelineError, LookupError):
    """A table that is to be read does not exist."""


class RefusedValueError(ValueError):
    """A value of a batch that cannot be stored. The writer, which knows the table and the row, translates it.

    Attributes:
        position: index of the row in its batch; None if the whole column is at fault.
    """

    def __init__(self, column: str | None, position: int | None, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.position = position


class SchemaDriftError(PostgresWriteError):
    """The data's columns do not match the table's.

    Attributes:
        differences: every difference, one sentence each.
    """

    def __init__(self, table: str, differences: Sequence[str], remedy: str) -> None:
        listed = "\n".join(f"  - {difference}" for difference in differences)
        super().__init__(f"The data does not fit table {table}:\n{listed}\n{remedy}", table=table)
        self.differences = list(differences)
