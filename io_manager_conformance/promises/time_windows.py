"""Time windows: a partition is the rows from its start to its end, in its time zone."""

from datetime import date
from typing import Any

import dagster as dg

from io_manager_conformance.fruits import DAYS, day_table, joined, picked
from io_manager_conformance.subject import Columns, Frame, Subject
from io_manager_conformance.table_under_test import expect

_DAYS_OF_KATHMANDU = dg.DailyPartitionsDefinition(
    "2024-01-01", end_date="2024-01-05", timezone="Asia/Kathmandu"
)
"""Days that begin at 18:15 UTC, and at no other zone's midnight."""


def a_day_is_from_midnight_to_midnight(subject: Subject) -> None:
    """A daily partition includes its midnight and excludes the next, so that each row belongs to one day."""
    fruits = day_table(subject)
    fruits.write(picked("2024-01-01 23:59:59.999999", "apple"), "2024-01-01")
    fruits.write(picked("2024-01-02 00:00:00", "pear"), "2024-01-02")
    fruits.write(picked("2024-01-03 00:00:00", "fig"), "2024-01-03")

    fruits.write(picked("2024-01-02 12:00:00", "quince"), "2024-01-02")

    replaced = picked("2024-01-02 12:00:00", "quince")
    expect(fruits.rows("2024-01-02"), replaced)
    expect(
        fruits.rows(),
        picked("2024-01-01 23:59:59.999999", "apple"),
        replaced,
        picked("2024-01-03 00:00:00", "fig"),
    )


def an_hour_is_from_its_start_to_the_next(subject: Subject) -> None:
    """An hourly partition includes its start and excludes the next hour's."""
    hours = dg.HourlyPartitionsDefinition("2024-01-01-00:00", end_date="2024-01-01-05:00")
    fruits = day_table(subject, hours)
    fruits.write(picked("2024-01-01 02:59:59", "apple"), "2024-01-01-02:00")
    fruits.write(picked("2024-01-01 03:00:00", "fig"), "2024-01-01-03:00")

    fruits.write(picked("2024-01-01 02:00:00", "quince"), "2024-01-01-02:00")

    expect(fruits.rows("2024-01-01-02:00"), picked("2024-01-01 02:00:00", "quince"))
    expect(fruits.rows("2024-01-01-03:00"), picked("2024-01-01 03:00:00", "fig"))


def a_day_may_be_found_by_a_column_of_dates(subject: Subject) -> None:
    """The column of a time window may be one of dates."""

    def harvest(day: int, name: str) -> Columns:
        return {"moment": [date(2024, 1, day)], "name": [name]}

    fruits = day_table(subject)
    fruits.write(harvest(1, "apple"), "2024-01-01")
    fruits.write(harvest(2, "fig"), "2024-01-02")

    fruits.write(harvest(1, "quince"), "2024-01-01")

    assert [row["name"] for row in fruits.rows("2024-01-01")] == ["quince"]
    expect(fruits.stored(), harvest(1, "quince"), harvest(2, "fig"))


def a_day_of_another_time_zone_is_its_wall_clock_in_naive_timestamps(subject: Subject) -> None:
    """Timestamps without a zone are compared with the wall clock of the partitions' zone, as nothing says otherwise."""
    fruits = day_table(subject, _DAYS_OF_KATHMANDU)
    fruits.write(picked("2024-01-01 23:00:00", "apple"), "2024-01-01")
    fruits.write(picked("2024-01-02 01:00:00", "fig"), "2024-01-02")

    fruits.write(picked("2024-01-01 22:00:00", "quince"), "2024-01-01")

    expect(fruits.rows("2024-01-01"), picked("2024-01-01 22:00:00", "quince"))
    expect(fruits.rows("2024-01-02"), picked("2024-01-02 01:00:00", "fig"))


def a_day_of_another_time_zone_is_its_instants_in_zoned_timestamps(subject: Subject) -> None:
    """Timestamps with a zone are compared as instants: a day in Kathmandu begins at 18:15 UTC."""
    fruits = day_table(subject, _DAYS_OF_KATHMANDU)
    first, last, next_day = (
        "2024-01-01 18:15:00+00:00",
        "2024-01-02 18:14:59+00:00",
        "2024-01-02 18:15:00+00:00",
    )
    fruits.write(joined(picked(first, "apple"), picked(last, "pear")), "2024-01-02")
    fruits.write(picked(next_day, "fig"), "2024-01-03")

    fruits.write(joined(picked(first, "quince"), picked(last, "plum")), "2024-01-02")

    expect(fruits.rows("2024-01-02"), picked(first, "quince"), picked(last, "plum"))
    expect(fruits.rows("2024-01-03"), picked(next_day, "fig"))


def a_range_of_days_is_replaced_in_one_run(subject: Subject) -> None:
    """A backfill of days in a single run replaces these days, and those outside stay."""
    fruits, (first, second, third, fourth) = day_table(subject), DAYS.get_partition_keys()
    fruits.write(joined(*(picked(day, "apple") for day in (first, second, third, fourth))), (first, fourth))

    fruits.write(joined(picked(second, "fig"), picked(third, "quince")), (second, third))

    replaced = [picked(second, "fig"), picked(third, "quince")]
    expect(fruits.rows((second, third)), *replaced)
    expect(fruits.stored(), picked(first, "apple"), *replaced, picked(fourth, "apple"))


def an_asset_reads_its_own_partition_before(subject: Subject) -> None:
    """An asset that depends on itself reads its partition of the day before, and none on the first day."""
    fruits, seen = day_table(subject), list[Frame]()
    itself = dg.AssetIn(
        dagster_type=subject.frame_type,
        partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1),
    )

    @dg.asset(name="fruits", ins={"fruits": itself}, partitions_def=DAYS, metadata=fruits.definition_metadata)
    def harvest(context: dg.AssetExecutionContext, fruits: Any) -> Any:  # noqa: ANN401  (any subject's type)
        seen.append(fruits)
        return subject.make_frame(picked(context.partition_key, f"fruit of {context.partition_key}"))

    for day in ("2024-01-01", "2024-01-02"):
        fruits.run([harvest], day)

    expect(subject.rows_of(seen[0]))
    expect(subject.rows_of(seen[1]), picked("2024-01-01", "fruit of 2024-01-01"))
    assert len(fruits.stored() or ()) == 2
