"""Slices: a partition as a condition on a table's rows, and the query that reads it."""

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
    """A string sent without a type, so that PostgreSQL infers it from the column."""

    cache_ok = True

    def literal_processor(self, dialect: sa.Dialect) -> Callable[[str], str]:  # noqa: ARG002
        """Quote a key for the readable query."""
        return lambda key: "'" + key.replace("'", "''") + "'"


def untyped(text: str) -> sa.BindParameter[str]:
    """Return a parameter of the type that it is compared with."""
    return sa.bindparam(None, text, type_=_Untyped())


def quoted_list(texts: Sequence[str]) -> str:
    """Return strings as a PostgreSQL array literal."""
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in escaped) + "}"


def slice_conditions(
    connection: sa.Connection, table: sa.FromClause, table_slice: TableSlice
) -> list[sa.ColumnElement[bool]]:
    """Return the conditions for the slice's rows; keys and times are parameters.

    A `partition_expr` is a column's name, or else SQL written by the author. Bounds of a time window are instants for a
    column with a time zone, and local times in the partitions' zone for any other.

    Raises:
        UnusableMetadataError: `partition_expr` is not valid for the table, or cannot distinguish the time windows.
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
    """Check that a `partition_expr` is valid, and can distinguish its time windows.

    Raises:
        UnusableMetadataError: it is not or cannot.
    """
    column_type = _type_of(connection, table, dimension)
    for window in windows:
        if isinstance(window, TimeWindow):
            check_window(dimension.partition_expr, window, column_type)


def slice_query(connection: sa.Connection, table: sa.Table, table_slice: TableSlice) -> sa.Select[Any]:
    """Return the query for the slice's columns, or all."""
    columns: list[sa.ColumnElement[Any]] = [
        sa.column(name) for name in table_slice.columns or table.columns.keys()
    ]
    return sa.select(*columns).select_from(table).where(*slice_conditions(connection, table, table_slice))


def readable_query(table_slice: TableSlice) -> str:
    """Return the slice's query as a person would type it."""
    table = sa.table(table_slice.table, schema=table_slice.schema)
    columns: list[sa.ColumnElement[Any]] = [sa.column(name) for name in table_slice.columns or ()]
    query = sa.select(*columns or [sa.literal_column("*")]).select_from(table)
    for dimension in table_slice.partition_dimensions or ():
        partitions = dimension.partitions
        ordered = partitions if isinstance(partitions, TimeWindow) else sorted(partitions)
        query = query.where(_condition(expression_of(table, dimension), ordered))
    return str(query.compile(dialect=_READABLE, compile_kwargs={"literal_binds": True}))


def partition_columns(table_slice: TableSlice, names: Sequence[str]) -> list[str]:
    """Return the partition's columns; none if one is an expression."""
    wanted = [dimension.partition_expr for dimension in table_slice.partition_dimensions or ()]
    return wanted if set(wanted) <= set(names) else []


def expression_of(table: sa.FromClause, dimension: TablePartitionDimension) -> sa.ColumnElement[Any]:
    """Return the column that `partition_expr` names, or its expression."""
    text = dimension.partition_expr
    if text in table.columns:
        return table.columns[text]
    return sa.column(text) if text.isidentifier() else sa.literal_column(text)


def _type_of(
    connection: sa.Connection, table: sa.FromClause, dimension: TablePartitionDimension
) -> ColumnType:
    """Return the type of a `partition_expr`; PostgreSQL describes an expression without reading rows.

    Raises:
        UnusableMetadataError: it is neither a column of the table nor a valid expression.
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
        similar = [name for name in names if name.casefold() == text.casefold()]
        columns = ", ".join(map(repr, similar or names))
        hint = f"Did you mean {columns}?" if similar else f"The columns are {columns}."
        raise UnusableMetadataError(
            f"table {table}: partition_expr {text!r} is neither a column nor a valid SQL expression: "
            f"{server_message(error.orig)}. {hint}",
            table=str(table),
            column=text,
            sqlstate=error.orig.sqlstate,
        ) from error


def describe_slice(table_slice: TableSlice) -> str:
    """Describe the slice: `day = 'a'`, `day from ... to ...`."""
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
