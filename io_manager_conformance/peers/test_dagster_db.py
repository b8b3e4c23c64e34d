"""The DuckDB IO manager of dagster-db, with its handlers of pandas and polars."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import dagster as dg
import pytest
from dagster_db import build_custom_duckdb_io_manager

from io_manager_conformance import Conformance, PartitionExpr, Subject
from io_manager_conformance.frames.pandas_frames import PandasFrames
from io_manager_conformance.frames.polars_frames import PolarsFrames
from io_manager_conformance.peers.duckdb_file import DuckDBFile

_SEVERAL = "fails for an input of several partitions"


class CustomDuckDB(DuckDBFile):
    """`build_custom_duckdb_io_manager()`, as its README has it."""

    def io_manager(
        self,
        schema: str | None = None,
        partition_expr: PartitionExpr = None,  # noqa: ARG002  (it is in the metadata)
    ) -> object:
        """Return the IO manager."""
        configured = {"database": self.database} | ({"schema": schema} if schema else {})
        return build_custom_duckdb_io_manager().configured(configured)


class PandasOnCustomDuckDB(CustomDuckDB, PandasFrames):
    """pandas frames as DuckDB tables."""


class PolarsOnCustomDuckDB(CustomDuckDB, PolarsFrames):
    """polars frames as DuckDB tables."""


class TestDagsterDbPandas(Conformance):
    """The handler of pandas."""

    title = "dagster-db, DuckDB"
    frames = "pandas"
    distributions = ("dagster-db", "dagster-duckdb", "duckdb", "pandas")
    known_failures: ClassVar = {
        "a_table_made_by_an_empty_frame_takes_rows_later": "the table has integers in place of texts",
        "an_input_may_ask_for_columns_with_odd_names": "inserts names into SQL as they are",
        "columns_in_another_order_find_their_own_places": "inserts by position",
        "a_repeated_write_never_doubles_rows": "stores rows of other partitions, again with each run",
        "a_day_of_another_time_zone_is_its_instants_in_zoned_timestamps": "compares with the session's wall clock",
        "a_range_along_both_dimensions_is_replaced_in_one_run": "refused by Dagster's base class",
        "a_dimension_without_an_expression_is_refused_by_name": "fails only when it replaces rows",
        "a_failed_write_keeps_the_old_table": "deletes in another transaction",
        "a_failed_write_keeps_the_old_partition": "deletes in another transaction",
        "a_failed_range_keeps_every_old_partition": "deletes in another transaction",
        "a_write_that_fails_midway_keeps_the_old_table": "deletes in another transaction",
        "a_new_column_loses_no_old_rows": "deletes in another transaction",
        "a_missing_column_loses_no_old_rows": "deletes in another transaction",
        "a_reader_sees_the_old_rows_or_the_new": "deletes in another transaction",
        "two_writers_of_one_partition_leave_the_rows_of_one": "keeps the rows of both",
        "the_first_two_writers_of_a_table_succeed": "one of them fails",
        "decimals_are_kept": "reads them as floats",
        "dates_from_year_1_to_9999_are_kept": "reads them as timestamps",
        "a_fraction_for_a_column_of_integers_is_kept_or_refused": "rounds 1.5 to 2",
        "a_materialization_counts_the_rows_of_the_table": "reports no such count",
        "a_materialization_counts_the_rows_of_the_partition": "reports no such count",
        "a_materialization_counts_the_rows_of_an_empty_frame": "reports no such count",
        "a_materialization_lists_the_columns": "reports them under another name",
        "an_unpartitioned_downstream_reads_all_partitions": _SEVERAL,
        "a_mapping_to_chosen_partitions_reads_those_alone": _SEVERAL,
        "dynamic_partitions_are_replaced_one_by_one": _SEVERAL,
        "a_range_of_keys_is_replaced_in_one_run": _SEVERAL,
        "a_day_is_from_midnight_to_midnight": _SEVERAL,
        "a_range_of_days_is_replaced_in_one_run": _SEVERAL,
        "a_partition_of_two_dimensions_is_where_both_hold": _SEVERAL,
        "a_range_along_one_dimension_is_replaced_in_one_run": _SEVERAL,
        "an_asset_reads_its_own_partition_before": "fails for an input of no partition",
        "bytes_are_kept": "its sample of rows reads them as UTF-8",
    }

    @pytest.fixture
    def subject(self, tmp_path: Path, instance: dg.DagsterInstance) -> Iterator[Subject]:
        """The IO manager on a new file."""
        with PandasOnCustomDuckDB.opened(tmp_path, instance) as subject:
            yield subject


class TestDagsterDbPolars(Conformance):
    """The handler of polars."""

    title = "dagster-db, DuckDB"
    frames = "polars"
    distributions = ("dagster-db", "dagster-duckdb", "duckdb", "polars")
    unsupported: ClassVar = dict.fromkeys(
        ("a_write_that_fails_midway_keeps_the_old_table", "a_failed_first_write_leaves_no_table"),
        "no value is known that polars has and DuckDB cannot store",
    )
    known_failures: ClassVar = {
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
        "a_materialization_counts_the_rows_of_the_table": "reports no such count",
        "a_materialization_counts_the_rows_of_the_partition": "reports no such count",
        "a_materialization_counts_the_rows_of_an_empty_frame": "reports no such count",
        "a_materialization_lists_the_columns": "reports them under another name",
        "an_unpartitioned_downstream_reads_all_partitions": _SEVERAL,
        "a_mapping_to_chosen_partitions_reads_those_alone": _SEVERAL,
        "dynamic_partitions_are_replaced_one_by_one": _SEVERAL,
        "a_range_of_keys_is_replaced_in_one_run": _SEVERAL,
        "a_day_is_from_midnight_to_midnight": _SEVERAL,
        "a_range_of_days_is_replaced_in_one_run": _SEVERAL,
        "a_partition_of_two_dimensions_is_where_both_hold": _SEVERAL,
        "a_range_along_one_dimension_is_replaced_in_one_run": _SEVERAL,
        "an_asset_reads_its_own_partition_before": "fails for an input of no partition",
        "bytes_are_kept": "its sample of rows reads them as UTF-8",
    }

    @pytest.fixture
    def subject(self, tmp_path: Path, instance: dg.DagsterInstance) -> Iterator[Subject]:
        """The IO manager on a new file."""
        with PolarsOnCustomDuckDB.opened(tmp_path, instance) as subject:
            yield subject
