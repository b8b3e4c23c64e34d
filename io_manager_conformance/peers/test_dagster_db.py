"""The DuckDB IO manager of dagster-db, with its handlers of pandas and polars."""

from typing import ClassVar

from dagster_db import build_custom_duckdb_io_manager

from io_manager_conformance import PartitionExpr
from io_manager_conformance.frames.pandas_frames import PandasFrames
from io_manager_conformance.frames.polars_frames import PolarsFrames
from io_manager_conformance.peers.duckdb_file import OF_ALL, UNSUPPORTED_WITH_POLARS, DuckDBFile, OnDuckDB

_SEVERAL = "fails for an input of several partitions"
_OF_BOTH = OF_ALL | {
    "a_materialization_counts_the_rows_of_the_table": "reports no such count",
    "a_materialization_counts_the_rows_of_the_partition": "reports no such count",
    "a_materialization_counts_the_rows_of_an_empty_frame": "reports no such count",
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


class TestDagsterDbPandas(OnDuckDB):
    """The handler of pandas."""

    file = PandasOnCustomDuckDB
    title = "dagster-db, DuckDB"
    frames = "pandas"
    distributions = ("dagster-db", "dagster-duckdb", "duckdb", "pandas")
    known_failures: ClassVar = _OF_BOTH | {
        "a_table_made_by_an_empty_frame_takes_rows_later": "the table has integers in place of texts",
        "a_write_that_fails_midway_keeps_the_old_table": "deletes in another transaction",
        "decimals_are_kept": "reads them as floats",
        "dates_from_year_1_to_9999_are_kept": "reads them as timestamps",
    }


class TestDagsterDbPolars(OnDuckDB):
    """The handler of polars."""

    file = PolarsOnCustomDuckDB
    title = "dagster-db, DuckDB"
    frames = "polars"
    distributions = ("dagster-db", "dagster-duckdb", "duckdb", "polars")
    unsupported = UNSUPPORTED_WITH_POLARS
    known_failures = _OF_BOTH
