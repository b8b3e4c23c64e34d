"""What can be wrong with what is written. Each is terminal, save a refusal for a lock: the same data fails again.

PostgresWriteError
 ├─ UnusableUrlError       a database URL that cannot be read
 ├─ UnusableNameError      a name that PostgreSQL would cut, or cannot hold
 ├─ UnusableMetadataError  asset metadata that says nothing the IO manager understands
 ├─ UnstorableValueError   a value that its column cannot hold as it is
 ├─ RowsNotStoredError     fewer or more rows in the table than were handed over
 │   └─ RowsOutsideSliceError  rows that are not of the partition that is written
 ├─ OutputReplacedError    an op's output that another run has replaced before it was read
 ├─ RowsNotClearedError    old rows of the partition that cannot be deleted, or not be seen
 ├─ DatabaseRefusalError   what PostgreSQL refuses: a right is missing, something depends on it, it is too large, ...
 └─ SchemaDriftError       columns that are not the table's
"""

from collections.abc import Sequence

from purchase_pipeline.errors import PipelineError


def printable(text: str) -> str:
    """Return a text, which may hold what a row says, without what acts on a terminal or forges a line of a log."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


class PostgresWriteError(PipelineError, ValueError):
    """Nothing was written, and what was there before is there still.

    Attributes:
        table: the table, with its schema; None where none is at fault.
        column: name of the column; None where no single one is at fault.
        sqlstate: PostgreSQL's code of what it refused; None where it was not asked.
    """

    def __init__(
        self,
        message: str,
        *,
        table: str | None = None,
        column: str | None = None,
        sqlstate: str | None = None,
    ) -> None:
        super().__init__(message)
        self.table = table
        self.column = column
        self.sqlstate = sqlstate


class UnusableNameError(PostgresWriteError):
    """A schema, table or column name that PostgreSQL would cut, or cannot hold."""


class UnusableUrlError(PostgresWriteError):
    """A database URL that cannot be read; none of it is shown."""


class UnusableMetadataError(PostgresWriteError):
    """Asset metadata that the IO manager does not understand."""


class UnstorableValueError(PostgresWriteError):
    """A value that its column cannot hold as it is.

    Attributes:
        row: position in what was written, from 1; None where it is not known.
        column: name of the column; None where the whole row is at fault.
        reason: why not.
    """

    def __init__(self, table: str, row: int | None, column: str | None, reason: str) -> None:
        place = (
            f"table {table}" + (f", row {row}" if row else "") + (f", column {column!r}" if column else "")
        )
        super().__init__(f"{place}: {printable(reason)}", table=table, column=column)
        self.row = row
        self.reason = reason

    def of(self, table: str) -> "UnstorableValueError":
        """Return the same of the table that the rows were on their way to."""
        return UnstorableValueError(table, self.row, self.column, self.reason)


_INTERFERENCE = (
    ", for a trigger or a rule of the table drops, moves or adds rows. Nothing was changed. Remove or change the "
    "trigger or rule (psql's \\d shows it), or write to another table."
)


class RowsNotStoredError(PostgresWriteError):
    """A trigger or a rule of the table kept rows away, moved or added some.

    Attributes:
        handed: rows that were handed over.
        stored: rows that would have been stored.
    """

    def __init__(self, table: str, handed: int, stored: int, reason: str = _INTERFERENCE) -> None:
        super().__init__(
            f"table {table}: {handed} rows were handed over, and {stored} would be stored{reason}",
            table=table,
        )
        self.handed = handed
        self.stored = stored


class UnreadableValueError(PipelineError, ValueError):
    """A stored value that has no exact form in what it is read as, such as `infinity` as a date."""


class OutputReplacedError(PostgresWriteError):
    """An op's output that another run has replaced before it was read. Worth another run, alone."""

    def __init__(self, table: str, run_id: str, other_run_id: str | None) -> None:
        super().__init__(
            f"table {table} has the output of run {other_run_id}, and no longer that of run {run_id}, which reads it: "
            "an op's output has one table, whatever the run. Limit the job to one run at a time, make the op a "
            "partitioned asset, or keep its output by another IO manager, as with dg.Out(io_manager_key=...)."
        )


class RowsOutsideSliceError(RowsNotStoredError):
    """Rows that are not of the partition that is written, and that no later write of it would replace."""

    def __init__(self, table: str, handed: int, outside: int, partition: str, example: str) -> None:
        rows, lie = ("1 row", "lies") if outside == 1 else (f"{outside} rows", "lie")
        super().__init__(
            table,
            handed,
            handed - outside,
            f" in the partition that is written, {printable(partition)}: {rows} {lie} outside of it, such as "
            f"{printable(example)}. Nothing was changed. Leave them out, or write them with the partition that they "
            "are of.",
        )


class RowsNotClearedError(PostgresWriteError):
    """Old rows of the slice that a trigger, a rule or a policy of the table keeps, so that they would be doubled."""


class DatabaseRefusalError(PostgresWriteError):
    """What PostgreSQL refuses of a table, or of a change of one, or not now: `sqlstate` tells which."""


class UnfinishedReadError(PipelineError, OSError):
    """A table was not read to its end: the server went away, or refused to go on. Another try may work."""

    transient = True

    def __init__(self, table: str, words: str) -> None:
        said = printable(" ".join(words.split()))
        super().__init__(f"table {table} was not read to its end: {said}. Read it again from its beginning.")


class RefusedValueError(ValueError):
    """A value of one batch that has no place in a table. The writer, who knows table and row, says it anew.

    Attributes:
        position: of the row in its batch, from 0; None where the whole column is at fault.
    """

    def __init__(self, column: str | None, position: int | None, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.position = position


class SchemaDriftError(PostgresWriteError):
    """Columns that are not the table's, with every difference.

    Attributes:
        differences: one sentence each.
    """

    def __init__(self, table: str, differences: Sequence[str], remedy: str) -> None:
        listed = "\n".join(f"  - {difference}" for difference in differences)
        super().__init__(f"The data does not fit table {table}:\n{listed}\n{remedy}", table=table)
        self.differences = list(differences)
