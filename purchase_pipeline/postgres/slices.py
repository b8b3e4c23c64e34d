"""Slices: a table's partition as a condition on its rows, and its removal."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from dagster import TimeWindow
from dagster._core.storage.db_io_manager import TablePartitionDimension, TableSlice
from sqlalchemy.dialects.postgresql.base import PGDialect

from purchase_pipeline.postgres.locks import hold_until_commit

POSTGRESQL: sa.Dialect = PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]  # SQLAlchemy left it so


class _Untyped(sa.types.UserDefinedType[str]):
    """A text sent without a type, so that PostgreSQL reads it as whatever type the column has."""

    cache_ok = True

    def literal_processor(self, dialect: sa.Dialect) -> Callable[[str], str]:  # noqa: ARG002
        """Quote a key for the query that is shown."""
        return lambda key: "'" + key.replace("'", "''") + "'"


def rows_of(table_slice: TableSlice) -> sa.Select[tuple[object, ...]]:
    """Return the query that reads a slice: its columns, or all, of its partitions' rows."""
    names = table_slice.columns or ()
    columns: list[sa.ColumnElement[Any]] = [sa.column(name) for name in names]
    return (
        sa.select(*columns or [sa.literal_column("*")])
        .select_from(_table(table_slice))
        .where(*_conditions(table_slice))
    )


def readable_query(table_slice: TableSlice) -> str:
    """Return that query as a person would type it."""
    literal = rows_of(table_slice).compile(dialect=POSTGRESQL, compile_kwargs={"literal_binds": True})
    return str(literal)


def clear_slice(connection: sa.Connection, table_slice: TableSlice) -> None:
    """Delete a slice's rows, if its table exists, after every other writer of the slice has ended."""
    hold_until_commit(connection, "slice", table_slice.schema, table_slice.table, *_key(table_slice))
    if sa.inspect(connection).has_table(table_slice.table, schema=table_slice.schema):
        connection.execute(sa.delete(_table(table_slice)).where(*_conditions(table_slice)))


def _table(table_slice: TableSlice) -> sa.TableClause:
    return sa.table(table_slice.table, schema=table_slice.schema)


def _key(table_slice: TableSlice) -> Sequence[str]:
    return [str(dimension.partitions) for dimension in table_slice.partition_dimensions or ()]


def _conditions(table_slice: TableSlice) -> list[sa.ColumnElement[bool]]:
    return [_condition(dimension) for dimension in table_slice.partition_dimensions or ()]


def _condition(dimension: TablePartitionDimension) -> sa.ColumnElement[bool]:
    """Keys and times are parameters. `partition_expr` is its author's SQL: quoted as a name when it is one."""
    expression = dimension.partition_expr
    column: sa.ColumnElement[Any] = (
        sa.column(expression) if expression.isidentifier() else sa.literal_column(expression)
    )
    if isinstance(dimension.partitions, TimeWindow):
        start, end = (moment.replace(tzinfo=None) for moment in dimension.partitions)
        return sa.and_(column >= start, column < end)
    return column.in_([sa.bindparam(None, key, type_=_Untyped()) for key in dimension.partitions])
