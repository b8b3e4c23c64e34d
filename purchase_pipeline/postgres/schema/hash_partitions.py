"""Tables in PostgreSQL's own hash partitions, which are chosen when the table is created."""

from collections.abc import Iterator, Sequence

import psycopg
import sqlalchemy as sa
from dagster import TimeWindow
from psycopg import sql

from purchase_pipeline.postgres.dagster_internals import TableSlice
from purchase_pipeline.postgres.errors import UnusableMetadataError
from purchase_pipeline.postgres.schema.tables import check_names, create_if_missing

_REFUSED = (
    psycopg.errors.UndefinedObject,  # a type without a hash function
    psycopg.errors.InvalidObjectDefinition,  # a generated column
    psycopg.errors.FeatureNotSupported,  # an exclusion constraint without the column
    psycopg.errors.DuplicateTable,  # a table with the name of a partition
)


def hash_columns(table: sa.Table, table_slice: TableSlice, upsert_keys: Sequence[str]) -> list[str]:
    """Return the hash key: the upsert's keys, or else the columns of `partition_expr`.

    A hash cannot serve ranges, so the column of a time window is used only if there is no other.

    Raises:
        UnusableMetadataError: there is no such column, or a unique key of the table does not include it.
    """
    dimensions = table_slice.partition_dimensions or []
    keyed = [each for each in dimensions if not isinstance(each.partitions, TimeWindow)]
    columns = list(upsert_keys) or [each.partition_expr for each in keyed or dimensions]
    if not columns or not set(columns) <= set(table.columns.keys()):
        raise UnusableMetadataError(
            f'Table {table} cannot have "hash_partitions" by {columns or "nothing"}: they need a "partition_expr" that '
            f'is a column, or "upsert_keys"; the columns are {", ".join(table.columns.keys())}.'
        )
    for key in _unique_keys(table):
        if missing := [column for column in columns if column not in key]:
            raise UnusableMetadataError(
                f'Table {table} cannot have "hash_partitions" by {", ".join(columns)}: its unique key '
                f"({', '.join(key)}) does not include {', '.join(missing)}. Add it to the key, or omit hash_partitions."
            )
    return columns


def create_with_hash_partitions(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], count: int
) -> None:
    """Create a missing table with that many partitions by the hash of the columns.

    Raises:
        UnusableNameError: PostgreSQL would truncate a partition's name (the table's and a number).
        UnusableMetadataError: PostgreSQL cannot partition such a table.
    """
    quote = connection.dialect.identifier_preparer.quote
    table.dialect_options["postgresql"]["partition_by"] = f"HASH ({', '.join(map(quote, columns))})"
    width = len(str(count - 1))
    names = [f"{table.name}_p{remainder:0{width}}" for remainder in range(count)]
    check_names(names)

    def create_partitions(*_: object, **__: object) -> None:
        for remainder, name in enumerate(names):
            statement = sql.SQL(
                "CREATE TABLE {} PARTITION OF {} FOR VALUES WITH (MODULUS {}, REMAINDER {})"
            ).format(
                sql.Identifier(*filter(None, (table.schema, name))),
                sql.Identifier(*filter(None, (table.schema, table.name))),
                count,
                remainder,
            )
            connection.exec_driver_sql(statement.as_string(), execution_options={"no_parameters": True})

    # Runs only if this writer creates the table: another one may be first.
    sa.event.listen(table, "after_create", create_partitions)
    try:
        create_if_missing(connection, [table])
    except sa.exc.DBAPIError as error:
        if not isinstance(error.orig, _REFUSED):
            raise
        raise UnusableMetadataError(
            f'Table {table} cannot have "hash_partitions" by {", ".join(columns)}: '
            f"{error.orig.diag.message_primary}. Omit hash_partitions, or change what the message names."
        ) from error


def _unique_keys(table: sa.Table) -> Iterator[list[str]]:
    for constraint in table.constraints:
        if isinstance(constraint, sa.PrimaryKeyConstraint | sa.UniqueConstraint) and constraint.columns:
            yield constraint.columns.keys()
    for index in table.indexes:
        if index.unique:
            yield index.columns.keys()
