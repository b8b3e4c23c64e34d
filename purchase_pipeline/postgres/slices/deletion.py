"""Delete and count a slice's rows, with errors that say what prevents it."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import TableSlice
from purchase_pipeline.postgres.database_errors import has_sqlstate, server_message
from purchase_pipeline.postgres.errors import RowsNotClearedError, UnusableMetadataError
from purchase_pipeline.postgres.schema.table_facts import table_facts
from purchase_pipeline.postgres.schema.tables import table_clause
from purchase_pipeline.postgres.slices.conditions import describe_slice, slice_conditions

_NOT_COMPARABLE = ("22", "42804", "42883")  # SQLSTATEs: invalid value of the type, no such operator


def delete_slice(connection: sa.Connection, table: sa.Table, table_slice: TableSlice) -> None:
    """Delete the slice's rows, and check that they are gone: a trigger or rule may keep some.

    Raises:
        UnusableMetadataError: the rows cannot be compared with the partition's keys.
        RowsNotClearedError: some remain, or may remain where row security hides them.
    """
    facts = table_facts(connection, table)
    if facts.hides_rows:
        raise RowsNotClearedError(
            f"table {table}: row security hides rows from this role, so that old rows could remain next to new ones. "
            "Nothing was changed. As the owner, give the role a policy FOR ALL USING (true), or BYPASSRLS; or write to "
            "another table.",
            table=str(table),
        )
    same = table_clause(table)
    with comparison_errors(table, table_slice):
        connection.execute(sa.delete(same).where(*slice_conditions(connection, same, table_slice)))
    left = count_slice(connection, table, table_slice) if facts.interferes else 0
    if left:
        raise RowsNotClearedError(
            f"table {table}: {left} rows of {describe_slice(table_slice)} remain after the DELETE: a trigger, rule or "
            "policy of the table keeps them, and the new rows would be added to them. Nothing was changed. Remove or "
            "change it (psql's \\d shows it), or write to another table.",
            table=str(table),
        )


def count_slice(connection: sa.Connection, table: sa.Table, table_slice: TableSlice) -> int:
    """Count the slice's rows.

    Raises:
        UnusableMetadataError: the rows cannot be compared with the partition's keys.
    """
    same = table_clause(table)
    with comparison_errors(table, table_slice):
        conditions = slice_conditions(connection, same, table_slice)
        return connection.execute(
            sa.select(sa.func.count()).select_from(same).where(*conditions)
        ).scalar_one()


@contextmanager
def comparison_errors(table: sa.FromClause, table_slice: TableSlice) -> Iterator[None]:
    """Translate errors of comparing rows with the slice's keys.

    Raises:
        UnusableMetadataError: a key is not a value of the column's type, the type has no equality, ...
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        if not has_sqlstate(error.orig, *_NOT_COMPARABLE):
            raise
        raise UnusableMetadataError(
            f"table {table}: cannot compare rows with partition {describe_slice(table_slice)}: "
            f"{server_message(error.orig)}. Partition keys must be values of the column's type: use another column or "
            "expression as partition_expr, or change the keys.",
            table=str(table),
            sqlstate=error.orig.sqlstate,
        ) from error
