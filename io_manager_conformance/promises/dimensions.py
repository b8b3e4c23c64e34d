"""Dimensions: a partition of several dimensions is the rows in which all of them hold."""

from dataclasses import replace

from io_manager_conformance.fruits import joined, shop_day, shop_day_table, sold
from io_manager_conformance.subject import Subject
from io_manager_conformance.table_under_test import expect

_FIRST, _SECOND = "2024-01-01", "2024-01-02"


def a_partition_of_two_dimensions_is_where_both_hold(subject: Subject) -> None:
    """A partition of a shop and a day has the rows of both, not those of either."""
    fruits = shop_day_table(subject)
    fruits.write(sold("north", _FIRST, "apple"), shop_day("north", _FIRST))
    fruits.write(sold("north", _SECOND, "pear"), shop_day("north", _SECOND))
    fruits.write(sold("south", _FIRST, "fig"), shop_day("south", _FIRST))

    fruits.write(sold("north", _FIRST, "quince"), shop_day("north", _FIRST))

    replaced = sold("north", _FIRST, "quince")
    expect(fruits.rows(shop_day("north", _FIRST)), replaced)
    expect(fruits.rows(), replaced, sold("north", _SECOND, "pear"), sold("south", _FIRST, "fig"))


def a_range_along_one_dimension_is_replaced_in_one_run(subject: Subject) -> None:
    """A range of shops on one day is replaced in a single run."""
    fruits = shop_day_table(subject)
    fruits.write(sold("north", _SECOND, "apple"), shop_day("north", _SECOND))
    ends = (shop_day("north", _FIRST), shop_day("east", _FIRST))
    fruits.write(joined(sold("north", _FIRST, "apple", "pear"), sold("east", _FIRST, "apple")), ends)

    fruits.write(joined(sold("north", _FIRST, "fig"), sold("east", _FIRST, "quince")), ends)

    replaced = [sold("north", _FIRST, "fig"), sold("east", _FIRST, "quince")]
    expect(fruits.rows(ends), *replaced)
    expect(fruits.stored(), *replaced, sold("north", _SECOND, "apple"))


def a_range_along_both_dimensions_is_replaced_in_one_run(subject: Subject) -> None:
    """A range of shops and days is replaced in a single run, as Dagster allows to request it."""
    fruits = shop_day_table(subject)
    fruits.write(sold("south", _FIRST, "apple"), shop_day("south", _FIRST))
    ends = (shop_day("north", _FIRST), shop_day("east", _SECOND))
    shop_days = [(shop, day) for shop in ("north", "east") for day in (_FIRST, _SECOND)]
    fruits.write(joined(*(sold(shop, day, "apple", "pear") for shop, day in shop_days)), ends)

    fruits.write(joined(*(sold(shop, day, "quince") for shop, day in shop_days)), ends)

    replaced = [sold(shop, day, "quince") for shop, day in shop_days]
    expect(fruits.rows(ends), *replaced)
    expect(fruits.stored(), *replaced, sold("south", _FIRST, "apple"))


def a_dimension_without_an_expression_is_refused_by_name(subject: Subject) -> None:
    """A dimension missing from `partition_expr` is refused by name at once, not when rows are replaced."""
    fruits = replace(shop_day_table(subject), partition_expr={"day": "moment"})

    frame = subject.make_frame(sold("north", _FIRST, "apple"))
    said = fruits.refusal_of(frame, shop_day("north", _FIRST))

    assert "partition_expr" in said, said
    assert "shop" in said, said
