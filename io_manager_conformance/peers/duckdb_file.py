"""IO managers that are built on dagster-duckdb: each tested on a new file of DuckDB."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Self

import dagster as dg
import duckdb
import pytest

from io_manager_conformance import Conformance, PartitionExpr, Subject
from io_manager_conformance.subject import Columns, Rows

OF_ALL = {
    "an_input_may_ask_for_columns_with_odd_names": "inserts names into SQL as they are",
    "columns_in_another_order_find_their_own_places": "inserts by position",
    "a_repeated_write_never_doubles_rows": "stores rows of other partitions, again with each run",
    "a_day_of_another_time_zone_is_its_instants_in_zoned_timestamps": "compares with the session's wall clock",
    "a_range_along_both_dimensions_is_replaced_in_one_run": "refused by Dagster's base class",
    "a_dimension_without_an_expression_is_refused_by_name": "fails only when it replaces rows",
    "a_failed_write_keeps_the_old_table": "deletes in another transaction",
    "a_failed_write_keeps_the_old_partition": "deletes in another transaction",
    "a_failed_range_keeps_every_old_partition": "deletes in another transaction",
    "a_new_column_loses_no_old_rows": "deletes in another transaction",
    "a_missing_column_loses_no_old_rows": "deletes in another transaction",
    "a_reader_sees_the_old_rows_or_the_new": "deletes in another transaction",
    "two_writers_of_one_partition_leave_the_rows_of_one": "keeps the rows of both",
    "the_first_two_writers_of_a_table_succeed": "one of them fails",
    "a_fraction_for_a_column_of_integers_is_kept_or_refused": "rounds 1.5 to 2",
    "a_materialization_lists_the_columns": "reports them under another name",
}
"""Failures of whatever is built on dagster-duckdb."""

OF_DAGSTERS_OWN = OF_ALL | {
    "an_empty_frame_makes_a_table_that_keeps_its_columns": "creates no table",
    "a_new_column_is_kept_or_refused_by_name": "the error names no column",
    "a_missing_column_is_left_empty_or_refused_by_name": "the error names no column",
}
"""Failures of both IO managers of Dagster's own."""

UNSUPPORTED_WITH_POLARS = dict.fromkeys(
    ("a_write_that_fails_midway_keeps_the_old_table", "a_failed_first_write_leaves_no_table"),
    "no value is known that polars has and DuckDB cannot store",
)


@dataclass
class DuckDBFile:
    """An empty database file, which a connection holds open; a subject adds its IO manager and its frames."""

    database: str
    connection: duckdb.DuckDBPyConnection
    instance: dg.DagsterInstance
    unwritable: ClassVar[Columns] = {"price": [Decimal("1.5"), Decimal("sNaN")]}

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, instance: dg.DagsterInstance) -> Iterator[Self]:
        """Open a new file in a folder."""
        database = str(folder / "conformance.duckdb")
        # One process opens a file once, for connections of the same configuration: here Dagster's.
        with duckdb.connect(database, config={"custom_user_agent": "dagster"}) as connection:
            yield cls(database, connection, instance)

    def stored(self, table: str, schema: str = "public") -> Rows | None:
        """Read a table."""
        try:
            found = self.connection.cursor().table(f'"{schema}"."{table}"')
        except duckdb.CatalogException:
            return None
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


class DuckDBIOManagerFile(DuckDBFile):
    """A file for an IO manager of Dagster's own."""

    manager: ClassVar[type]

    def io_manager(
        self,
        schema: str | None = None,
        partition_expr: PartitionExpr = None,  # noqa: ARG002  (it is in the metadata)
    ) -> object:
        """Return the IO manager."""
        return self.manager(database=self.database, schema=schema)


class OnDuckDB(Conformance):
    """The tests of one of these IO managers, as the file makes it."""

    file: ClassVar[Any]  # a subclass of DuckDBFile with an IO manager and frames

    @pytest.fixture
    def subject(self, tmp_path: Path, instance: dg.DagsterInstance) -> Iterator[Subject]:
        """The IO manager on a new file."""
        with self.file.opened(tmp_path, instance) as subject:
            yield subject
