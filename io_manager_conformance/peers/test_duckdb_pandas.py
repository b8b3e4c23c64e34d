"""`DuckDBPandasIOManager` of dagster-duckdb-pandas."""

from typing import ClassVar

from dagster_duckdb_pandas import DuckDBPandasIOManager

from io_manager_conformance.frames.pandas_frames import PandasFrames
from io_manager_conformance.peers.duckdb_file import OF_DAGSTERS_OWN, DuckDBIOManagerFile, OnDuckDB


class PandasOnDuckDB(DuckDBIOManagerFile, PandasFrames):
    """pandas frames as DuckDB tables."""

    manager = DuckDBPandasIOManager


class TestDuckDBPandasIOManager(OnDuckDB):
    """Dagster's own, whose base class is also ours."""

    file = PandasOnDuckDB
    title = "DuckDBPandasIOManager"
    frames = "pandas"
    distributions = ("dagster-duckdb-pandas", "duckdb", "pandas")
    known_failures: ClassVar = OF_DAGSTERS_OWN | {
        "a_write_that_fails_midway_keeps_the_old_table": "deletes in another transaction",
        "decimals_are_kept": "reads them as floats",
        "dates_from_year_1_to_9999_are_kept": "reads them as timestamps",
    }
