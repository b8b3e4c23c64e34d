"""Atomicity: a write happens whole, or not at all."""

from purchase_pipeline_tests.conformance.fruits import joined, shop_table, stock, two_shops
from purchase_pipeline_tests.conformance.subject import Columns, Subject
from purchase_pipeline_tests.conformance.table_under_test import Table, expect

_NORTH, _SOUTH = stock("north", "apple", "pear"), stock("south", "fig")
_ILL_TYPED = {**stock("north", "quince"), "number": ["many"]}
"""A fruit whose number the table, made for numbers, cannot take."""


def a_failed_write_keeps_the_old_table(subject: Subject) -> None:
    fruits = Table(subject=subject)
    fruits.write(_NORTH)

    fruits.refusal_of(subject.make_frame(_ILL_TYPED))

    expect(fruits.stored(), _NORTH)


def a_failed_write_keeps_the_old_partition(subject: Subject) -> None:
    fruits = two_shops(subject)

    fruits.refusal_of(subject.make_frame(_ILL_TYPED), "north")

    expect(fruits.stored(), _NORTH, _SOUTH)


def a_failed_range_keeps_every_old_partition(subject: Subject) -> None:
    fruits = shop_table(subject)
    east = stock("east", "plum")
    fruits.write(joined(_NORTH, east, _SOUTH), ("north", "south"))

    mixed = subject.make_frame({"shop": ["north", "east"], "number": ["few", "many"], "name": ["fig", "fig"]})
    fruits.refusal_of(mixed, ("north", "east"))

    expect(fruits.stored(), _NORTH, east, _SOUTH)


def a_failed_write_can_be_tried_again(subject: Subject) -> None:
    fruits = two_shops(subject)
    fruits.refusal_of(subject.make_frame(_ILL_TYPED), "north")

    fruits.write(stock("north", "quince"), "north")

    expect(fruits.stored(), stock("north", "quince"), _SOUTH)


def a_write_that_fails_midway_keeps_the_old_table(subject: Subject) -> None:
    fruits = Table(subject=subject)
    good = {name: values[:1] for name, values in subject.unwritable.items()}
    fruits.write(good)

    fruits.refusal_of(subject.make_frame(joined(*[good] * 1_000, subject.unwritable)))

    expect(fruits.stored(), good)


def a_failed_first_write_leaves_no_table(subject: Subject) -> None:
    fruits = Table(subject=subject)

    fruits.refusal_of(subject.make_frame(subject.unwritable))

    assert fruits.stored() is None, f"left behind: {fruits.stored()}"


def a_new_column_loses_no_old_rows(subject: Subject) -> None:
    _expect_old_rows_or_new(subject, {**stock("north", "quince"), "colour": ["green"]})


def a_new_column_is_kept_or_refused_by_name(subject: Subject) -> None:
    fruits = Table(subject=subject)
    fruits.write(_NORTH)

    said = fruits.attempt(subject.make_frame({**stock("north", "quince"), "colour": ["green"]}))

    assert "colour" in (said or repr(fruits.stored())), said


def a_missing_column_loses_no_old_rows(subject: Subject) -> None:
    _expect_old_rows_or_new(subject, {"shop": ["north"], "name": ["quince"]})


def a_missing_column_is_left_empty_or_refused_by_name(subject: Subject) -> None:
    fruits = Table(subject=subject)
    fruits.write(_NORTH)

    said = fruits.attempt(subject.make_frame({"shop": ["north"], "name": ["quince"]}))

    if said:
        assert "number" in said, said
    else:
        expect(fruits.stored(), {"shop": ["north"], "number": [None], "name": ["quince"]})


def _expect_old_rows_or_new(subject: Subject, columns: Columns) -> None:
    fruits = two_shops(subject)

    said = fruits.attempt(subject.make_frame(columns), "north")

    names = sorted(str(row["name"]) for row in fruits.stored() or ())
    assert names == (["apple", "fig", "pear"] if said else ["fig", "quince"]), f"found {names} after {said!r}"
