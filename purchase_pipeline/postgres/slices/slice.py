"""A slice of an existing table: select, count and delete its rows, with errors that say what prevents it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import TableSlice
from purchase_pipeline.postgres.database_errors import has_sqlstate, server_message
from purchase_pipeline.postgres.errors import RowsNotClearedError, UnusableMetadataError
from purchase_pipeline.postgres.schema.table_facts import table_facts
from purchase_pipeline.postgres.schema.tables import table_clause
from purchase_pipeline.postgres.slices.conditions import describe_slice, slice_conditions

_NOT_COMPARABLE = ("22", "42804", "42883")  # SQLSTATEs: invalid value of the type, no such operator


@dataclass(frozen=True)
class Slice:
    """The rows that a partition has in a table, in the caller's transaction.

    Attributes:
        bounds: the partition as Dagster describes it.
    """

    connection: sa.Connection
    table: sa.Table
    bounds: TableSlice

    def __str__(self) -> str:
        return describe_slice(self.bounds)

    def conditions(self, rows: sa.FromClause) -> list[sa.ColumnElement[bool]]:
        """Return the conditions of the slice on rows that have the table's columns.

        Raises:
            UnusableMetadataError: `partition_expr` is not valid for them.
        """
        return slice_conditions(self.connection, rows, self.bounds)

    def delete(self) -> None:
        """Delete the rows, and check that they are gone: a trigger or rule may keep some.

        Raises:
            UnusableMetadataError: the rows cannot be compared with the partition's keys.
            RowsNotClearedError: some remain, or may remain where row security hides them.
        """
        facts = table_facts(self.connection, self.table)
        if facts.hides_rows:
            raise RowsNotClearedError(
                f"table {self.table}: row security hides rows from this role, so that old rows could remain next to "
                "new ones. Nothing was changed. As the owner, give the role a policy FOR ALL USING (true), or "
                "BYPASSRLS; or write to another table.",
                table=str(self.table),
            )
        same = table_clause(self.table)
        with self.comparison_errors():
            self.connection.execute(sa.delete(same).where(*self.conditions(same)))
        left = self.count() if facts.interferes else 0
        if left:
            raise RowsNotClearedError(
                f"table {self.table}: rows of {self} remain after the DELETE ({left}): a trigger, rule or policy of "
                "the table keeps them, and the new rows would be added to them. Nothing was changed. Remove or change "
                "it (psql's \\d shows it), or write to another table.",
                table=str(self.table),
            )

    def count(self) -> int:
        """Count the rows.

        Raises:
            UnusableMetadataError: the rows cannot be compared with the partition's keys.
        """
        same = table_clause(self.table)
        with self.comparison_errors():
            query = sa.select(sa.func.count()).select_from(same).where(*self.conditions(same))
            return self.connection.execute(query).scalar_one()

    @contextmanager
    def comparison_errors(self) -> Iterator[None]:
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
                f"table {self.table}: cannot compare rows with partition {self}: {server_message(error.orig)}. "
                "Partition keys must be values of the column's type: use another column or expression as "
                "partition_expr, or change the keys.",
                table=str(self.table),
                sqlstate=error.orig.sqlstate,
            ) from error
