"""`DuckDBPolarsIOManager` of dagster-duckdb-polars."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import dagster as dg
import pytest
from dagster_duckdb_polars import DuckDBPolarsIOManager

from io_manager_conformance import Conformance, PartitionExpr, Subject
from io_manager_conformance.frames.polars_frames import PolarsFrames
from io_manager_conformance.peers.duckdb_file import DuckDBFile


class PolarsOnDuckDB(DuckDBFile, PolarsFrames):
    """polars frames as DuckDB tables."""

    def io_manager(
        self,
        schema: str | None = None,
        partition_expr: PartitionExpr = None,  # noqa: ARG002  (it is in the metadata)
    ) -> object:
        """Return the IO manager."""
        return DuckDBPolarsIOManager(database=self.database, schema=schema)


class TestDuckDBPolarsIOManager(Conformance):
    """Dagster's own, whose base class is also ours."""

    title = "DuckDBPolarsIOManager"
    frames = "polars"
    distributions = ("dagster-duckdb-polars", "duckdb", "polars")
    unsupported: ClassVar = dict.fromkeys(
        ("a_write_that_fails_midway_keeps_the_old_table", "a_failed_first_write_leaves_no_table"),
        "no value is known that polars has and DuckDB cannot store",
    )
    known_failures: ClassVar = {
        "an_empty_frame_makes_a_table_that_keeps_its_columns": "creates no table",
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
        "a_new_column_is_kept_or_refused_by_name": "the error names no column",
        "a_missing_column_loses_no_old_rows": "deletes in another transaction",
        "a_missing_column_is_left_empty_or_refused_by_name": "the error names no column",
        "a_reader_sees_the_old_rows_or_the_new": "deletes in another transaction",
        "two_writers_of_one_partition_leave_the_rows_of_one": "keeps the rows of both",
        "the_first_two_writers_of_a_table_succeed": "one of them fails",
        "a_fraction_for_a_column_of_integers_is_kept_or_refused": "rounds 1.5 to 2",
        "a_materialization_counts_the_rows_of_the_table": "reports no such count",
        "a_materialization_counts_the_rows_of_the_partition": "reports no such count",
        "a_materialization_counts_the_rows_of_an_empty_frame": "reports no such count",
        "a_materialization_lists_the_columns": "reports them under another name",
    }

    @pytest.fixture
    def subject(self, tmp_path: Path, instance: dg.DagsterInstance) -> Iterator[Subject]:
        """The IO manager on a new file."""
        with PolarsOnDuckDB.opened(tmp_path, instance) as subject:
            yield subject
