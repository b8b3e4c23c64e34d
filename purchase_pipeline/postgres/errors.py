"""What can be wrong with what is written. Each is terminal: the same data would be refused again.

PostgresWriteError
 ├─ UnusableNameError      a name that PostgreSQL would cut, or cannot hold
 ├─ UnusableMetadataError  asset metadata that says nothing the IO manager understands
 ├─ UnstorableValueError   a value that its column cannot hold as it is
 ├─ RowsNotStoredError     fewer or more rows in the table than were handed over
 └─ SchemaDriftError       columns that are not the table's
"""

from collections.abc import Sequence


def in_one_line(text: str) -> str:
    """Return a text, which may hold what a row says, without what acts on a terminal or forges a line of a log."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


class PostgresWriteError(ValueError):
    """Nothing was written, and what was there before is there still."""


class UnusableNameError(PostgresWriteError):
    """A schema, table or column name that PostgreSQL would cut, or cannot hold."""


class UnusableMetadataError(PostgresWriteError):
    """Asset metadata that the IO manager does not understand."""


class UnstorableValueError(PostgresWriteError):
    """A value that its column cannot hold as it is.

    Attributes:
        row: position in what was written, from 1; None where it is not known.
        column: name of the column; None where the whole row is at fault.
        reason: what is wrong with it.
    """

    def __init__(self, table: str, row: int | None, column: str | None, reason: str) -> None:
        place = (
            f"table {table}" + (f", row {row}" if row else "") + (f", column {column!r}" if column else "")
        )
        super().__init__(f"{place}: {in_one_line(reason)}")
        self.row = row
        self.column = column
        self.reason = reason

    def of(self, table: str) -> "UnstorableValueError":
        """Return the same of the table that the rows were on their way to."""
        return UnstorableValueError(table, self.row, self.column, self.reason)


class RowsNotStoredError(PostgresWriteError):
    """A trigger or a rule of the table kept rows away, moved or added some.

    Attributes:
        handed: rows that were handed over.
        stored: rows that would have been stored.
    """

    def __init__(self, table: str, handed: int, stored: int) -> None:
        super().__init__(
            f"table {table}: {handed} rows were handed over, and {stored} would be stored, for a trigger or a rule of "
            "the table drops, moves or adds rows. Nothing was changed. Remove or change the trigger or rule (psql's "
            "\\d shows it), or write to another table."
        )
        self.handed = handed
        self.stored = stored


class UnreadableValueError(ValueError):
    """A stored value that has no exact form in what it is read as, such as `infinity` as a date."""


class UnfinishedReadError(OSError):
    """A table was not read to its end: the server went away, or refused to go on. Another try may work."""

    def __init__(self, table: str, words: str) -> None:
        said = in_one_line(" ".join(words.split()))
        super().__init__(f"table {table} was not read to its end: {said}. Read it again from its beginning.")


class RefusedValueError(ValueError):
    """A value of one batch that has no place in a table. The writer, who knows table and row, says it anew.

    Attributes:
        position: of the row in its batch, from 0; None where the whole column is at fault.
    """

    def __init__(self, column: str, position: int | None, reason: str) -> None:
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
        super().__init__(f"The data does not fit table {table}:\n{listed}\n{remedy}")
        self.differences = list(differences)
