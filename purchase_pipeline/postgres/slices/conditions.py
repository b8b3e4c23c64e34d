"""Slices: a table's partition as a condition on its rows, the query that reads it, its removal."""

from collections.abc import Callable, Sequence
from datetime import time
from typing import Any

import psycopg
import sqlalchemy as sa
from dagster import TimeWindow
from dagster._core.storage.db_io_manager import TablePartitionDimension, TableSlice
from sqlalchemy.dialects.postgresql.base import PGDialect

from purchase_pipeline.postgres.connections import quote_all_names
from purchase_pipeline.postgres.errors import PostgresWriteError, UnusableMetadataError
from purchase_pipeline.postgres.schema.result_types import result_types
from purchase_pipeline.postgres.schema.types import ColumnType, family, sql

_READABLE = quote_all_names(PGDialect(paramstyle="named"))  # type: ignore[no-untyped-call]  # SQLAlchemy left it so
_NOT_OURS = (
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,  # no such comparison
    psycopg.errors.InvalidTextRepresentation,
    psycopg.errors.InvalidDatetimeFormat,
    psycopg.errors.ObjectNotInPrerequisiteState,  # a view
    psycopg.errors.WrongObjectType,
)
_TIMES = ("timestamp", "zoned timestamp", "date")


class _Untyped(sa.types.UserDefinedType[str]):
    """A text sent without a type, so that PostgreSQL reads it as whatever type the column has."""

    cache_ok = True

    def literal_processor(self, dialect: sa.Dialect) -> Callable[[str], str]:  # noqa: ARG002
        """Quote a key for the query that is shown."""
        return lambda key: "'" + key.replace("'", "''") + "'"


def untyped(text: str) -> sa.BindParameter[str]:
    """Return a text as a parameter that PostgreSQL reads as the type it is compared with."""
    return sa.bindparam(None, text, type_=_Untyped())


def slice_conditions(
    connection: sa.Connection, table: sa.FromClause, table_slice: TableSlice
) -> list[sa.ColumnElement[bool]]:
    """Return what is true of the slice's rows, as the table stands: keys and times are parameters.

    A `partition_expr` is a column's name, or else its author's own SQL. The bounds of a time window are instants for
    a zoned column, and the wall's time in the partitions' zone for any other.

    Raises:
        UnusableMetadataError: time windows over an expression that cannot tell them apart.
    """
    for dimension in table_slice.partition_dimensions or ():
        if isinstance(dimension.partitions, TimeWindow):
            _check_time(
                dimension.partition_expr, dimension.partitions, _type_of(connection, table, dimension)
            )
    return [
        _condition(expression_of(table, dimension), dimension.partitions)
        for dimension in table_slice.partition_dimensions or ()
    ]


def slice_query(connection: sa.Connection, table: sa.Table, table_slice: TableSlice) -> sa.Select[Any]:
    """Return the query that reads the slice: its columns, in the order asked for, or all."""
    columns: list[sa.ColumnElement[Any]] = [
        sa.column(name) for name in table_slice.columns or table.columns.keys()
    ]
    return sa.select(*columns).select_from(table).where(*slice_conditions(connection, table, table_slice))


def clear_slice(connection: sa.Connection, table: sa.Table, table_slice: TableSlice) -> None:
    """Delete the slice's rows.

    Raises:
        PostgresWriteError: they cannot be told apart, or not be deleted: it is a view, or somebody else's table.
    """
    # SQLAlchemy compiles a statement once for all tables of this lighter kind that look the same.
    columns: list[sa.ColumnClause[Any]] = [sa.column(column.name, column.type) for column in table.columns]
    same = sa.table(table.name, *columns, schema=table.schema)
    try:
        connection.execute(sa.delete(same).where(*slice_conditions(connection, same, table_slice)))
    except sa.exc.DBAPIError as error:
        if not isinstance(error.orig, _NOT_OURS):
            raise
        raise PostgresWriteError(
            f"table {table} cannot have this slice replaced: {error.orig.diag.message_primary}. Is it somebody else's? "
            "Rename it, or give the asset another name or schema."
        ) from error


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
    """Ask PostgreSQL for the type of an expression, without reading a row."""
    if dimension.partition_expr in table.columns:
        return table.columns[dimension.partition_expr].type
    result = connection.execute(sa.select(expression_of(table, dimension)).select_from(table).limit(0))
    return next(iter(result_types(result).values()))


def _check_time(expression: str, window: TimeWindow, column_type: ColumnType) -> None:
    kind = family(column_type)
    if kind not in _TIMES:
        raise UnusableMetadataError(
            f"partition_expr {expression!r} is {sql(column_type)}, and time windows need a DATE or "
            f"TIMESTAMP: name another column, or cast this one (CAST(... AS TIMESTAMP))."
        )
    if kind == "date" and any(bound.time() != time.min for bound in window):
        raise UnusableMetadataError(
            f"partition_expr {expression!r} is a DATE, which cannot tell the hours of a day apart."
        )


def _condition(
    expression: sa.ColumnElement[Any], partitions: TimeWindow | Sequence[str]
) -> sa.ColumnElement[bool]:
    if not isinstance(partitions, TimeWindow):
        return expression.in_([untyped(key) for key in partitions])
    start, end = (untyped(moment.isoformat(sep=" ")) for moment in partitions)
    return sa.and_(expression >= start, expression < end)
