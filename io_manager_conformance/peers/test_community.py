"""`PostgresIOManager` of dagster-community-components, on the empty database of DATABASE_URL (over TCP)."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa
from dagster_community_components.io_managers.postgres_io_manager.component import PostgresIOManager

from io_manager_conformance import Columns, Conformance, PartitionExpr, Rows, Subject
from io_manager_conformance.frames.pandas_frames import PandasFrames

_OF_KEYS = {"shop", "soldBy", "year"}
"""The columns of the suite that hold partition keys: each can be the IO manager's `partition_column`."""
_ADDED = "partition_key"
"""The column that the IO manager adds to a frame that has no column of keys."""
_BY_COLUMN = "a partition is the key in a column, not an expression"
_BY_KEY = "the key's first part is the schema, the others are the table"
_RANGE = "a frame of several partitions must have a column of their keys"
_ALL = "reads all partitions if the upstream is not in the run"
_OTHER_NAMES = "reports under other names"


@dataclass
class CommunityPostgres(PandasFrames):
    """The IO manager on an empty database; what it adds to a frame is not part of its values."""

    engine: sa.Engine
    instance: dg.DagsterInstance
    unwritable: ClassVar[Columns] = {"name": ["apple", "a\0b"]}
    _added: bool = field(default=False, init=False)

    def io_manager(self, schema: str | None = None, partition_expr: PartitionExpr = None) -> object:
        """Return the IO manager: the column of its configuration is the one of the keys, else its default."""
        url = self.engine.url
        return PostgresIOManager(
            host=url.host,
            port=url.port or 5432,
            database=url.database,
            user=url.username,
            password=url.password,
            default_schema=schema or "public",
            partition_column=partition_expr if str(partition_expr) in _OF_KEYS else _ADDED,
        )

    def columns_of(self, frame: pd.DataFrame) -> Sequence[str]:
        """Return the columns of the asset's frame."""
        return super().columns_of(frame.drop(columns=_ADDED, errors="ignore"))

    def rows_of(self, frame: pd.DataFrame) -> Rows:
        """Return the rows of the asset's frame."""
        return super().rows_of(frame.drop(columns=_ADDED, errors="ignore"))

    def stored(self, table: str, schema: str = "public") -> Rows | None:
        """Read a table."""
        if not sa.inspect(self.engine).has_table(table, schema=schema):
            return None
        with self.engine.execution_options(compiled_cache=None).connect() as connection:
            found = connection.execute(sa.select("*").select_from(sa.table(table, schema=schema)))
            return [{name: row[name] for name in row if name != _ADDED} for row in found.mappings()]


class TestCommunityPostgres(Conformance):
    """The IO manager as its README configures it."""

    title = "dagster-community-components, PostgresIOManager"
    frames = "pandas"
    distributions = ("dagster-community-components", "sqlalchemy", "psycopg2-binary", "pandas")
    unsupported: ClassVar = {
        "the_last_part_of_the_asset_key_is_the_table": _BY_KEY,
        "the_configured_schema_goes_before_the_key_prefix": _BY_KEY,
        "the_schema_in_the_metadata_goes_before_all": _BY_KEY,
        "an_op_output_is_kept_by_its_name": "the step is the schema, the output is the table",
        "an_input_takes_the_columns_it_asks_for_in_its_order": "an input has all columns",
        "an_input_may_ask_for_columns_with_odd_names": "an input has all columns",
        "a_partition_is_found_by_an_expression": _BY_COLUMN,
        "a_partitioned_asset_without_an_expression_is_refused_by_name": _BY_COLUMN,
        "a_dimension_without_an_expression_is_refused_by_name": _BY_COLUMN,
        "a_range_of_days_is_replaced_in_one_run": _RANGE,
        "a_range_along_one_dimension_is_replaced_in_one_run": _RANGE,
        "a_range_along_both_dimensions_is_replaced_in_one_run": _RANGE,
    }
    known_failures: ClassVar = {
        "an_asset_without_a_value_is_refused": "succeeds without writing",
        "a_downstream_partition_reads_the_same_partition": _ALL,
        "a_mapping_to_chosen_partitions_reads_those_alone": _ALL,
        "a_partition_never_written_reads_as_empty": _ALL,
        "dynamic_partitions_are_replaced_one_by_one": _ALL,
        "a_range_of_keys_is_replaced_in_one_run": _ALL,
        "a_partition_is_found_by_a_column_of_numbers": "replaces the numbers with the key, a text",
        "a_day_is_from_midnight_to_midnight": _ALL,
        "an_hour_is_from_its_start_to_the_next": _ALL,
        "a_day_may_be_found_by_a_column_of_dates": _ALL,
        "a_day_of_another_time_zone_is_its_wall_clock_in_naive_timestamps": _ALL,
        "a_day_of_another_time_zone_is_its_instants_in_zoned_timestamps": _ALL,
        "an_asset_reads_its_own_partition_before": "fails as long as there is no table",
        "a_partition_of_two_dimensions_is_where_both_hold": _ALL,
        "two_writers_of_one_partition_leave_the_rows_of_one": "keeps the rows of both",
        "the_first_two_writers_of_a_table_succeed": "one of them fails, or loses its rows",
        "integers_beside_missing_ones_keep_their_64_bits": "reads them as floats",
        "floats_are_kept": "-0.0 becomes 0.0",
        "decimals_are_kept": "stores them as text",
        "bytes_are_kept": "stores them as text",
        "dicts_are_kept": "refuses them",
        "lists_of_integers_are_kept": "stores them as text",
        "lists_of_texts_are_kept": "stores them as text",
        "a_materialization_names_its_table": _OTHER_NAMES,
        "a_materialization_counts_the_rows_of_the_table": _OTHER_NAMES,
        "a_materialization_counts_the_rows_of_the_partition": _OTHER_NAMES,
        "a_materialization_counts_the_rows_of_an_empty_frame": _OTHER_NAMES,
        "a_materialization_lists_the_columns": "reports no columns",
    }

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> sa.Engine:
        """The database to test in, of which every schema is dropped after each test."""
        return sa.create_engine(os.environ["DATABASE_URL"])

    @pytest.fixture
    def subject(self, engine: sa.Engine, instance: dg.DagsterInstance) -> Iterator[Subject]:
        """The IO manager on a database without tables."""
        yield CommunityPostgres(engine, instance)
        with engine.begin() as connection:
            for schema in set(sa.inspect(connection).get_schema_names()) - {"information_schema"}:
                connection.execute(sa.schema.DropSchema(schema, cascade=True))
            connection.execute(sa.schema.CreateSchema("public"))
