"""Slices: a table's partition as a condition on its rows, the query that reads it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from dagster import TimeWindow
from sqlalchemy.dialects.postgresql.base import PGDialect

from purchase_pipeline.postgres.connections import quote_all_names
from purchase_pipeline.postgres.dagster_internals import TablePartitionDimension, TableSlice
from purchase_pipeline.postgres.database_errors import has_sqlstate, server_message
from purchase_pipeline.postgres.errors import UnusableMetadataError
from purchase_pipeline.postgres.schema.result_types import result_types
from purchase_pipeline.postgres.schema.types import ColumnType
from purchase_pipeline.postgres.slices.windows import bound_text, check_window

_READABLE = quote_all_names(PGDialect(paramstyle="named"))  # type: ignore[no-untyped-call]  # SQLAlchemy left it so
_KEYS_SHOWN = 3


class _Untyped(sa.types.UserDefinedType[str]):
    """A text sent without a type, so that PostgreSQL reads it as whatever type the column has."""

    cache_ok = True

    def literal_processor(self, dialect: sa.Dialect) -> Callable[[str], str]:  # noqa: ARG002
        """Quote a key for the query that is shown."""
        return lambda key: "'" + key.replace("'", "''") + "'"


def untyped(text: str) -> sa.BindParameter[str]:
    """Return a text as a parameter that PostgreSQL reads as the type it is compared with."""
    return sa.bindparam(None, text, type_=_Untyped())


def quoted_list(texts: Sequence[str]) -> str:
    """Return texts as PostgreSQL writes an array of them."""
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in escaped) + "}"


def slice_conditions(
    connection: sa.Connection, table: sa.FromClause, table_slice: TableSlice
) -> list[sa.ColumnElement[bool]]:
    """Return what is true of the slice's rows, as the table stands: keys and times are parameters.

    A `partition_expr` is a column's name, or else its author's own SQL. The bounds of a time window are instants for
    a zoned column, and the wall's time in the partitions' zone for any other.

    Raises:
        UnusableMetadataError: a `partition_expr` that the table does not understand, or time windows over one that
            cannot tell them apart.
    """
    dimensions = table_slice.partition_dimensions or ()
    for dimension in dimensions:
        check_windows(connection, table, dimension, [dimension.partitions])
    return [_condition(expression_of(table, dimension), dimension.partitions) for dimension in dimensions]


def check_windows(
    connection: sa.Connection,
    table: sa.FromClause,
    dimension: TablePartitionDimension,
    windows: Iterable[TimeWindow | Sequence[str]],
) -> None:
    """Make sure that a `partition_expr` is understood, and that it can tell apart those of its windows that are times.

    Raises:
        UnusableMetadataError: it is not, or cannot.
    """
    column_type = _type_of(connection, table, dimension)
    for window in windows:
        if isinstance(window, TimeWindow):
            check_window(dimension.partition_expr, window, column_type)


def slice_query(connection: sa.Connection, table: sa.Table, table_slice: TableSlice) -> sa.Select[Any]:
    """Return the query that reads the slice: its columns, in the order asked for, or all."""
    columns: list[sa.ColumnElement[Any]] = [
        sa.column(name) for name in table_slice.columns or table.columns.keys()
    ]
    return sa.select(*columns).select_from(table).where(*slice_conditions(connection, table, table_slice))


def readable_query(table_slice: TableSlice) -> str:
    """Return the query that reads the slice, as a person would type it."""
    table = sa.table(table_slice.table, schema=table_slice.schema)
    columns: list[sa.ColumnElement[Any]] = [sa.column(name) for name in table_slice.columns or ()]
    query = sa.select(*columns or [sa.literal_column("*")]).select_from(table)
    for dimension in table_slice.partition_dimensions or ():
        query = query.where(_condition(expression_of(table, dimension), dimension.partitions))
    return str(query.compile(dialect=_READABLE, compile_kwargs={"literal_binds": True}))


def partition_columns(table_slice: TableSlice, names: Sequence[str]) -> list[str]:
    """Return the columns that the slice is cut by; none if an expression is among them."""
    wanted = [dimension.partition_expr for dimension in table_slice.partition_dimensions or ()]
    return wanted if set(wanted) <= set(names) else []


def expression_of(table: sa.FromClause, dimension: TablePartitionDimension) -> sa.ColumnElement[Any]:
    """Return what `partition_expr` names: the table's column of that name, or an expression."""
    text = dimension.partition_expr
    if text in table.columns:
        return table.columns[text]
    return sa.column(text) if text.isidentifier() else sa.literal_column(text)


def _type_of(
    connection: sa.Connection, table: sa.FromClause, dimension: TablePartitionDimension
) -> ColumnType:
    """Return the type of a `partition_expr`: of an expression, as PostgreSQL says it without reading a row.

    Raises:
        UnusableMetadataError: it is no column of the table, or no expression of its rows.
    """
    text = dimension.partition_expr
    if text in table.columns:
        return table.columns[text].type
    expression = expression_of(table, dimension)
    query = sa.select(expression).select_from(table).where(expression.is_not(None)).limit(0)
    try:
        return next(iter(result_types(connection.execute(query)).values()))
    except sa.exc.DBAPIError as error:
        if not has_sqlstate(error.orig, "22", "42", "0A"):
            raise
        names = [column.name for column in table.columns]
        alike = [name for name in names if name.casefold() == text.casefold()]
        raise UnusableMetadataError(
            f"table {table}: partition_expr {text!r} is neither one of its columns nor an SQL expression of them: "
            f"{server_message(error.orig)}. {'Write it as the table does' if alike else 'The columns are'}: "
            f"{', '.join(map(repr, alike or names))}.",
            table=str(table),
            column=text,
            sqlstate=error.orig.sqlstate,
        ) from error


def describe_slice(table_slice: TableSlice) -> str:
    """Return what is true of the slice's rows, for a person: `day = 'a'`, `day from ... to ...`."""
    return " and ".join(map(_dimension_in_words, table_slice.partition_dimensions or ())) or "the whole table"


def _dimension_in_words(dimension: TablePartitionDimension) -> str:
    name, partitions = dimension.partition_expr, dimension.partitions
    if isinstance(partitions, TimeWindow):
        return f"{name} from {bound_text(partitions.start)} to {bound_text(partitions.end)}"
    first = ", ".join(map(repr, sorted(partitions)[:_KEYS_SHOWN]))
    if len(partitions) == 1:
        return f"{name} = {first}"
    return f"{name} in {first}" + (f", ... ({len(partitions)})" if len(partitions) > _KEYS_SHOWN else "")


def _condition(
    expression: sa.ColumnElement[Any], partitions: TimeWindow | Sequence[str]
) -> sa.ColumnElement[bool]:
    if not isinstance(partitions, TimeWindow):
        return expression.in_([untyped(key) for key in partitions])
    start, end = (untyped(bound_text(bound)) for bound in partitions)
    return sa.and_(expression >= start, expression < end)
