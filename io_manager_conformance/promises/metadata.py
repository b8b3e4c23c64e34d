"""Metadata: a materialization reports its table, rows and columns."""

import dagster as dg

from io_manager_conformance.fruits import shop_table, stock
from io_manager_conformance.subject import Subject
from io_manager_conformance.table_under_test import Table

_NORTH = stock("north", "apple", "pear")


def a_materialization_names_its_table(subject: Subject) -> None:
    """`dagster/table_name` leads from the asset's page to the table."""
    written = Table(subject=subject, key=("market", "fruits")).write(_NORTH)

    assert str(_reported(written, "dagster/table_name")).endswith("market.fruits")


def a_materialization_counts_the_rows_of_the_table(subject: Subject) -> None:
    """`dagster/row_count` is the number of rows of the table."""
    written = Table(subject=subject).write(_NORTH)

    assert _reported(written, "dagster/row_count") == 2


def a_materialization_counts_the_rows_of_the_partition(subject: Subject) -> None:
    """`dagster/partition_row_count` is the number of rows of the partition."""
    fruits = shop_table(subject)
    fruits.write(stock("south", "fig"), "south")

    written = fruits.write(_NORTH, "north")

    assert _reported(written, "dagster/partition_row_count") == 2


def a_materialization_counts_the_rows_of_an_empty_frame(subject: Subject) -> None:
    """A table without rows is reported as 0 rows, so that an empty result is seen."""
    written = Table(subject=subject).write_empty(_NORTH)

    assert _reported(written, "dagster/row_count") == 0


def a_materialization_lists_the_columns(subject: Subject) -> None:
    """`dagster/column_schema` lists the columns with types, which Dagster compares from run to run."""
    schema = _reported(Table(subject=subject).write(_NORTH), "dagster/column_schema")

    assert isinstance(schema, dg.TableSchema), schema
    assert [column.name for column in schema.columns] == list(_NORTH)
    assert all(column.type for column in schema.columns), schema


def _reported(result: dg.ExecuteInProcessResult, entry: str) -> object:
    (materialization,) = (event.materialization for event in result.get_asset_materialization_events())
    value = materialization.metadata.get(entry)
    return value and value.value
