"""What an input says of how it is read: its annotation, and its metadata `columns`, `row_filter` and `limit`."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import dagster as dg
import psycopg
import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import CheckError, TableSlice
from purchase_pipeline.postgres.errors import UnfinishedReadError, UnusableMetadataError
from purchase_pipeline.postgres.frames.libraries import READ
from purchase_pipeline.postgres.frames.rows import Item
from purchase_pipeline.postgres.slices.conditions import slice_query

_FILTER_ERRORS = ("22", "42")  # classes of SQLSTATE: a value, or what is written
_SERVER_ENDED = ("canceling ", "terminating ")


@dataclass(frozen=True)
class ReadOptions:
    """Which rows of a slice are read, and how many.

    Attributes:
        row_filter: its author's own SQL, true of the rows that are read; None: of all.
        limit: how many rows are read at most.
    """

    row_filter: str | None = None
    limit: int | None = None

    @classmethod
    def of(cls, context: dg.InputContext) -> "ReadOptions":
        """Return what the input's metadata say.

        Raises:
            UnusableMetadataError: a value that is none of those possible.
        """
        metadata = context.definition_metadata or {}
        _check_columns(metadata.get("columns"))
        row_filter, limit = metadata.get("row_filter"), metadata.get("limit")
        if row_filter is not None and not (isinstance(row_filter, str) and row_filter.strip()):
            raise UnusableMetadataError(
                f'Metadata "row_filter" is {row_filter!r}; it is a condition in SQL, such as "price > 10".'
            )
        if limit is not None and (type(limit) is not int or limit < 0):
            raise UnusableMetadataError(f'Metadata "limit" is {limit!r}; it is a number of rows.')
        return cls(row_filter, limit)

    def query(self, connection: sa.Connection, table: sa.Table, table_slice: TableSlice) -> sa.Select[Any]:
        """Return the query that reads those rows of the slice.

        Raises:
            UnusableMetadataError: columns that the table does not have.
        """
        _refuse_missing(table_slice.columns or (), table)
        query = slice_query(connection, table, table_slice)
        if self.row_filter is not None:  # it may end with a comment, which ends with the line
            query = query.where(sa.literal_column(f"(\n{self.row_filter}\n)", sa.Boolean))
        return query if self.limit is None else query.limit(self.limit)

    @contextmanager
    def filter_errors(self, table: sa.Table) -> Iterator[None]:
        """Say of an error that the row filter can have caused that it is there.

        Raises:
            UnusableMetadataError: PostgreSQL refuses the filter, or the filter fails on a row.
        """
        try:
            yield
        except (sa.exc.DBAPIError, UnfinishedReadError) as error:
            words = _filter_message(error)
            if self.row_filter is None or words is None:
                raise
            raise UnusableMetadataError(
                f'Metadata "row_filter" is {self.row_filter!r}, and table {table} cannot be read by it: {words}. It is '
                'a condition in SQL, such as "price > 10".'
            ) from error

    def with_filter_errors(self, batches: Iterable[Item], table: sa.Table) -> Iterator[Item]:
        """Yield the batches of a stream; the filter may fail on a row of any."""
        with self.filter_errors(table):
            yield from batches


def _filter_message(error: sa.exc.DBAPIError | UnfinishedReadError) -> str | None:
    """Return PostgreSQL's words on a condition that it cannot compute; None for any other error."""
    if isinstance(error, UnfinishedReadError):  # pyarrow hands on no SQLSTATE
        words = str(error.__cause__).partition("ERROR:")[2].strip().splitlines()
        return words[0] if words and not words[0].startswith(_SERVER_ENDED) else None
    cause = error.orig
    if not isinstance(cause, psycopg.Error) or (cause.sqlstate or "")[:2] not in _FILTER_ERRORS:
        return None
    return cause.diag.message_primary


def load_type(context: dg.InputContext, default: type | None) -> Any:  # noqa: ANN401
    """Return what the input is annotated with; without an annotation, the default."""
    kind = context.dagster_type.typing_type
    return default if kind is Any and default is not None else kind


def no_handler_error(context: dg.InputContext, kind: object) -> CheckError:
    """Return the error for an input that says nothing of what it is read as, or names what nothing is read as."""
    if context.has_input_name:
        seen = "has no type hint" if kind is Any else f"is annotated with {kind}"
        text = f"input {context.name!r} {seen}. Annotate it with {READ}."
    else:  # load_asset_value builds a context of no input
        seen = "no python_type is given" if kind is Any else f"python_type is {kind}"
        key = context.asset_key.to_user_string()
        text = f"{seen}. Say load_asset_value({key!r}, python_type=...) with {READ}."
    return CheckError(f"PostgresIOManager does not have a handler for type '{kind}': {text}")


def _check_columns(columns: object) -> None:
    if columns is None:
        return
    if (
        not isinstance(columns, list | tuple)
        or not columns
        or not all(isinstance(name, str) for name in columns)
    ):
        raise UnusableMetadataError(
            f'Metadata "columns" is {columns!r}; it is a list of column names, one at least. Without it all are read.'
        )
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise UnusableMetadataError(
            f'Metadata "columns" is {columns!r}, and names {", ".join(map(repr, twice))} more than once.'
        )


def _refuse_missing(columns: Iterable[str], table: sa.Table) -> None:
    missing = [name for name in columns if name not in table.columns]
    if not missing:
        return
    own = table.columns.keys()
    by_lower = {name.lower(): name for name in own}  # a matter of case, more often than not
    close = [by_lower[one] for name in missing for one in get_close_matches(name.lower(), by_lower, n=1)]
    meant = f" Is {' and '.join(map(repr, close))} meant?" if close else ""
    raise UnusableMetadataError(
        f'Metadata "columns" names {", ".join(map(repr, missing))}, and table {table} has '
        f"{', '.join(map(repr, own))}.{meant}"
    )
