"""Slices: a table's partition as a condition on its rows, and its removal."""

from collections.abc import Sequence

import sqlalchemy as sa
from dagster import TimeWindow
from dagster._core.storage.db_io_manager import TablePartitionDimension, TableSlice
from sqlalchemy.dialects import postgresql

from purchase_pipeline.postgres.locks import hold_until_commit


def rows_of(table_slice: TableSlice) -> sa.Select[tuple[object, ...]]:
    """Return the query that reads a slice: its columns, or all, of its partitions' rows."""
    names = table_slice.columns or ()
    columns = [sa.column(name) for name in names] or [sa.literal_column("*")]
    return sa.select(*columns).select_from(_table(table_slice)).where(*_conditions(table_slice))


def readable_query(table_slice: TableSlice) -> str:
    """Return that query as a person would type it."""
    literal = rows_of(table_slice).compile(
        dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}
    )
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
    column = sa.column(expression) if expression.isidentifier() else sa.literal_column(expression)
    if isinstance(dimension.partitions, TimeWindow):
        start, end = (moment.replace(tzinfo=None) for moment in dimension.partitions)
        return sa.and_(column >= start, column < end)
    # Untyped, so that PostgreSQL reads a key as whatever type the column has.
    return column.in_([sa.bindparam(None, key, type_=sa.types.NullType()) for key in dimension.partitions])
