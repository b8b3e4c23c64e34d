"""How an input is read: its annotation, and its metadata `columns`, `row_filter` and `limit`."""

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

_FILTER_ERRORS = ("22", "42")  # SQLSTATE classes: data exceptions, syntax errors
_SERVER_ENDED = ("canceling ", "terminating ")


@dataclass(frozen=True)
class ReadOptions:
    """Which rows of a slice are read, and how many.

    Attributes:
        row_filter: SQL condition on the rows, written by the author; None: all rows.
        limit: maximum number of rows; None: no limit.
    """

    row_filter: str | None = None
    limit: int | None = None

    @classmethod
    def of(cls, context: dg.InputContext) -> "ReadOptions":
        """Return the options in the input's metadata.

        Raises:
            UnusableMetadataError: an invalid value.
        """
        metadata = context.definition_metadata or {}
        _check_columns(metadata.get("columns"))
        row_filter, limit = metadata.get("row_filter"), metadata.get("limit")
        if row_filter is not None and not (isinstance(row_filter, str) and row_filter.strip()):
            raise UnusableMetadataError(
                f'Metadata "row_filter" is {row_filter!r}; expected an SQL condition, such as "price > 10".'
            )
        if limit is not None and (type(limit) is not int or limit < 0):
            raise UnusableMetadataError(f'Metadata "limit" is {limit!r}; expected a number of rows.')
        return cls(row_filter, limit)

    def query(self, connection: sa.Connection, table: sa.Table, table_slice: TableSlice) -> sa.Select[Any]:
        """Return the query for these rows of the slice.

        Raises:
            UnusableMetadataError: the table does not have these columns.
        """
        _reject_missing(table_slice.columns or (), table)
        query = slice_query(connection, table, table_slice)
        if self.row_filter is not None:  # newlines, because it may end with a comment
            query = query.where(sa.literal_column(f"(\n{self.row_filter}\n)", sa.Boolean))
        return query if self.limit is None else query.limit(self.limit)

    @contextmanager
    def filter_errors(self, table: sa.Table) -> Iterator[None]:
        """Report errors that the row filter may have caused as errors of the filter.

        Raises:
            UnusableMetadataError: PostgreSQL rejects the filter, or the filter fails on a row.
        """
        try:
            yield
        except (sa.exc.DBAPIError, UnfinishedReadError) as error:
            words = _filter_message(error)
            if self.row_filter is None or words is None:
                raise
            raise UnusableMetadataError(
                f'Metadata "row_filter" is {self.row_filter!r}, which fails on table {table}: {words}. '
                'Expected an SQL condition, such as "price > 10".'
            ) from error

    def with_filter_errors(self, batches: Iterable[Item], table: sa.Table) -> Iterator[Item]:
        """Yield the batches of a stream; the filter may fail on any row."""
        with self.filter_errors(table):
            yield from batches


def _filter_message(error: sa.exc.DBAPIError | UnfinishedReadError) -> str | None:
    """Return PostgreSQL's message if the row filter may have caused the error, else None."""
    if isinstance(error, UnfinishedReadError):  # pyarrow does not pass on the SQLSTATE
        words = str(error.__cause__).partition("ERROR:")[2].strip().splitlines()
        return words[0] if words and not words[0].startswith(_SERVER_ENDED) else None
    cause = error.orig
    if not isinstance(cause, psycopg.Error) or (cause.sqlstate or "")[:2] not in _FILTER_ERRORS:
        return None
    return cause.diag.message_primary


def load_type(context: dg.InputContext, default: type | None) -> Any:  # noqa: ANN401
    """Return the input's annotation, or the default without one."""
    kind = context.dagster_type.typing_type
    return default if kind is Any and default is not None else kind


def no_handler_error(context: dg.InputContext, kind: object) -> CheckError:
    """Return the error for an input without a type hint, or with one that cannot be read."""
    if context.has_input_name:
        seen = "has no type hint" if kind is Any else f"is annotated with {kind}"
        text = f"input {context.name!r} {seen}. Annotate it with {READ}."
    else:  # a context built by load_asset_value
        seen = "python_type is missing" if kind is Any else f"python_type is {kind}"
        key = context.asset_key.to_user_string()
        text = f"{seen}. Use load_asset_value({key!r}, python_type=...) with {READ}."
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
            f'Metadata "columns" is {columns!r}; expected a list of at least one column name. Omit it to read all.'
        )
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        raise UnusableMetadataError(
            f'Metadata "columns" is {columns!r}, which repeats {", ".join(map(repr, repeated))}.'
        )


def _reject_missing(columns: Iterable[str], table: sa.Table) -> None:
    missing = [name for name in columns if name not in table.columns]
    if not missing:
        return
    names = table.columns.keys()
    by_lower = {name.lower(): name for name in names}  # usually only the case differs
    matches = [by_lower[one] for name in missing for one in get_close_matches(name.lower(), by_lower, n=1)]
    hint = f" Did you mean {' and '.join(map(repr, matches))}?" if matches else ""
    raise UnusableMetadataError(
        f'Metadata "columns" names {", ".join(map(repr, missing))}, but the columns of table {table} are '
        f"{', '.join(map(repr, names))}.{hint}"
    )
