"""The conformance suite finds what is wrong with an IO manager, and nothing else."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from numbers import Integral
from typing import Any

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa

from io_manager_conformance.catalogue import BEHAVIOURS
from purchase_pipeline_tests import broken_io_managers as broken
from purchase_pipeline_tests.broken_io_managers import BrokenOnPostgres, ChangesFrames, changes_values
from purchase_pipeline_tests.postgres_subject import drop_all_schemas

SOUND = {"replacing_one_partition_leaves_the_others", "booleans_are_kept"}
"""Behaviours to try with every IO manager that is not broken in them."""


def changes(of_type: type, change: Callable[[Any], object]) -> Callable[..., ChangesFrames]:
    return partial(ChangesFrames, change=changes_values(of_type, change))


BROKEN: dict[str, tuple[Callable[..., broken.Broken], set[str]]] = {
    "clears rows in another transaction": (
        broken.ClearsInAnotherTransaction,
        {
            "a_failed_write_keeps_the_old_table",
            "a_failed_write_keeps_the_old_partition",
            "a_failed_range_keeps_every_old_partition",
            "a_write_that_fails_midway_keeps_the_old_table",
            "a_new_column_loses_no_old_rows",
            "a_reader_sees_the_old_rows_or_the_new",
        },
    ),
    "clears other partitions": (
        broken.ClearsOtherPartitions,
        {"replacing_one_partition_leaves_the_others", "an_empty_frame_empties_its_partition_alone"},
    ),
    "appends": (
        broken.Appends,
        {
            "writing_replaces_the_table_whole",
            "replacing_one_partition_leaves_the_others",
            "an_empty_frame_empties_the_table",
            "columns_in_another_order_find_their_own_places",
        },
    ),
    "skips empty frames": (
        broken.SkipsEmptyFrames,
        {
            "an_empty_frame_empties_the_table",
            "an_empty_frame_makes_a_table_that_keeps_its_columns",
            "an_empty_frame_empties_its_partition_alone",
            "a_materialization_counts_the_rows_of_an_empty_frame",
        },
    ),
    "swallows errors": (
        broken.SwallowsErrors,
        {
            "an_asset_without_a_value_is_refused",
            "an_unsupported_type_is_refused_by_name",
            "a_failed_write_keeps_the_old_partition",
            "a_dimension_without_an_expression_is_refused_by_name",
        },
    ),
    "fits frames to the table": (
        broken.FitsFramesToTheTable,
        {"columns_in_another_order_find_their_own_places", "a_new_column_is_kept_or_refused_by_name"},
    ),
    "reads every partition": (
        broken.ReadsEveryPartition,
        {"a_downstream_partition_reads_the_same_partition", "a_partition_never_written_reads_as_empty"},
    ),
    "cuts texts at NUL": (
        changes(str, lambda text: text.partition("\0")[0]),
        {"a_text_with_nul_is_kept_or_refused", "a_failed_first_write_leaves_no_table"},
    ),
    "stores an empty text as missing": (
        changes(str, lambda text: text or None),
        {"an_empty_text_is_not_a_missing_one"},
    ),
    "strips texts": (changes(str, str.strip), {"texts_of_any_characters_are_kept"}),
    "rounds decimals": (changes(Decimal, float), {"decimals_are_kept"}),
    "rounds floats": (
        changes(float, lambda number: round(number) if abs(number) < 10 else number),
        {"floats_are_kept", "a_fraction_for_a_column_of_integers_is_kept_or_refused"},
    ),
    "takes integers for floats": (
        changes(Integral, lambda number: number if isinstance(number, bool) else float(number)),
        {"integers_keep_their_64_bits", "integers_beside_missing_ones_keep_their_64_bits"},
    ),
    "drops zones": (
        changes(pd.Timestamp, lambda moment: moment.tz_localize(None)),
        {"zoned_timestamps_keep_their_instant"},
    ),
    "cuts microseconds": (
        changes(pd.Timestamp, lambda moment: moment.floor("s")),
        {"naive_timestamps_keep_their_microseconds", "zoned_timestamps_keep_their_instant"},
    ),
    "lowers names": (
        partial(ChangesFrames, change=lambda frame: frame.rename(columns=str.lower)),
        {"column_names_of_any_characters_are_kept", "a_partition_is_found_by_a_column_with_capitals"},
    ),
}


@pytest.fixture(scope="module")
def instance() -> Any:  # noqa: ANN401
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_io_manager_fails_the_behaviours_that_it_breaks(
    name: str, engine: sa.Engine, instance: dg.DagsterInstance
) -> None:
    make, broken_behaviours = BROKEN[name]
    failed = set()

    for behaviour in sorted(SOUND | broken_behaviours):
        try:
            BEHAVIOURS[behaviour](BrokenOnPostgres(engine, instance, make))
        except Exception:  # noqa: BLE001  (a broken IO manager may raise anything)
            failed.add(behaviour)
        drop_all_schemas(engine)

    assert failed == broken_behaviours
