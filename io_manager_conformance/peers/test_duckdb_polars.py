"""`DuckDBPolarsIOManager` of dagster-duckdb-polars."""

from typing import ClassVar

from dagster_duckdb_polars import DuckDBPolarsIOManager

from io_manager_conformance.frames.polars_frames import PolarsFrames
from io_manager_conformance.peers.duckdb_file import (
    OF_DAGSTERS_OWN,
    UNSUPPORTED_WITH_POLARS,
    DuckDBIOManagerFile,
    OnDuckDB,
)


class PolarsOnDuckDB(DuckDBIOManagerFile, PolarsFrames):
    """polars frames as DuckDB tables."""

    manager = DuckDBPolarsIOManager


class TestDuckDBPolarsIOManager(OnDuckDB):
    """Dagster's own, whose base class is also ours."""

    file = PolarsOnDuckDB
    title = "DuckDBPolarsIOManager"
    frames = "polars"
    distributions = ("dagster-duckdb-polars", "duckdb", "polars")
    unsupported = UNSUPPORTED_WITH_POLARS
    known_failures: ClassVar = OF_DAGSTERS_OWN | {
        "a_materialization_counts_the_rows_of_the_table": "reports no such count",
        "a_materialization_counts_the_rows_of_the_partition": "reports no such count",
        "a_materialization_counts_the_rows_of_an_empty_frame": "reports no such count",
    }
