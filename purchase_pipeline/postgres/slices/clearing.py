"""A slice's rows deleted and counted: what keeps one from the other is told by name."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import TableSlice
from purchase_pipeline.postgres.database_errors import is_refusal_of, words_of
from purchase_pipeline.postgres.errors import RowsNotClearedError, UnusableMetadataError
from purchase_pipeline.postgres.schema.table_facts import table_facts
from purchase_pipeline.postgres.schema.tables import named_alike
from purchase_pipeline.postgres.slices.conditions import message_of, slice_conditions

_NOT_COMPARABLE = ("22", "42804", "42883")  # SQLSTATEs: a value of no such type, and no such comparison


def clear_slice(connection: sa.Connection, table: sa.Table, table_slice: TableSlice) -> None:
    """Delete the slice's rows, and make sure that they are gone: a trigger or a rule may keep some.

    Raises:
        UnusableMetadataError: they cannot be told apart.
        RowsNotClearedError: some are there still, or may be where the role does not see them.
    """
    facts = table_facts(connection, table)
    if facts.hides_rows:
        raise RowsNotClearedError(
            f"table {table}: row security hides rows from this role, so that old rows of a slice could stay, unseen, "
            "next to the new ones. Nothing was changed. As its owner, give the role a policy FOR ALL USING (true), or "
            "BYPASSRLS; or write to another table.",
            table=str(table),
        )
    same = named_alike(table)
    with compared(table, table_slice):
        connection.execute(sa.delete(same).where(*slice_conditions(connection, same, table_slice)))
    left = count_slice(connection, table, table_slice) if facts.interferes else 0
    if left:
        raise RowsNotClearedError(
            f"table {table}: {left} rows of {message_of(table_slice)} are there still after they were deleted, for a "
            "trigger, a rule or a policy of the table keeps them: the new rows would come on top. Nothing was changed. "
            "Remove or change it (psql's \\d shows it), or write to another table.",
            table=str(table),
        )


def count_slice(connection: sa.Connection, table: sa.Table, table_slice: TableSlice) -> int:
    """Count the slice's rows.

    Raises:
        UnusableMetadataError: they cannot be told apart.
    """
    same = named_alike(table)
    with compared(table, table_slice):
        conditions = slice_conditions(connection, same, table_slice)
        return connection.execute(
            sa.select(sa.func.count()).select_from(same).where(*conditions)
        ).scalar_one()


@contextmanager
def compared(table: sa.FromClause, table_slice: TableSlice) -> Iterator[None]:
    """Say by name what cannot be compared with the slice's keys.

    Raises:
        UnusableMetadataError: a key that is no value of its column's type, a column without equality, ...
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        if not is_refusal_of(error.orig, *_NOT_COMPARABLE):
            raise
        raise UnusableMetadataError(
            f"table {table}: no row can be told to be of the partition {message_of(table_slice)}: "
            f"{words_of(error.orig)}. Its keys have to be values of the column's type: name another column or "
            "expression as partition_expr, or change the keys.",
            table=str(table),
            sqlstate=error.orig.sqlstate,
        ) from error
