"""Metadata: what a materialization tells of the table."""

import dagster as dg

from purchase_pipeline_tests.conformance.fruits import shop_table, stock
from purchase_pipeline_tests.conformance.subject import Subject
from purchase_pipeline_tests.conformance.table_under_test import Table

_NORTH = stock("north", "apple", "pear")


def a_materialization_names_its_table(subject: Subject) -> None:
    written = Table(subject=subject, key=("market", "fruits")).write(_NORTH)

    assert str(_told(written, "dagster/table_name")).endswith("market.fruits")


def a_materialization_counts_the_rows_of_the_table(subject: Subject) -> None:
    written = Table(subject=subject).write(_NORTH)

    assert _told(written, "dagster/row_count") == 2


def a_materialization_counts_the_rows_of_the_partition(subject: Subject) -> None:
    fruits = shop_table(subject)
    fruits.write(stock("south", "fig"), "south")

    written = fruits.write(_NORTH, "north")

    assert _told(written, "dagster/partition_row_count") == 2


def a_materialization_counts_the_rows_of_an_empty_frame(subject: Subject) -> None:
    written = Table(subject=subject).write_empty(_NORTH)

    assert _told(written, "dagster/row_count") == 0


def a_materialization_lists_the_columns(subject: Subject) -> None:
    schema = _told(Table(subject=subject).write(_NORTH), "dagster/column_schema")

    assert isinstance(schema, dg.TableSchema), schema
    assert [column.name for column in schema.columns] == list(_NORTH)
    assert all(column.type for column in schema.columns), schema


def _told(result: dg.ExecuteInProcessResult, entry: str) -> object:
    (materialization,) = (event.materialization for event in result.get_asset_materialization_events())
    value = materialization.metadata.get(entry)
    return value and value.value
