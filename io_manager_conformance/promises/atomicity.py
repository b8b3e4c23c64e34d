"""Atomicity: a write happens whole, or not at all."""

from io_manager_conformance.fruits import joined, shop_table, stock, two_shops
from io_manager_conformance.subject import Columns, Subject
from io_manager_conformance.table_under_test import Table, expect

_NORTH, _SOUTH = stock("north", "apple", "pear"), stock("south", "fig")
_ILL_TYPED = {**stock("north", "quince"), "number": ["many"]}
"""A fruit whose number the table, made for numbers, cannot take."""


def a_failed_write_keeps_the_old_table(subject: Subject) -> None:
    """A write that fails leaves the table as it was, because those who read it have nothing else."""
    fruits = Table(subject=subject)
    fruits.write(_NORTH)

    said = fruits.attempt(subject.make_frame(_ILL_TYPED))

    # A table that is replaced may change its types: then nothing has failed.
    expect(fruits.stored(), _NORTH if said else _ILL_TYPED)


def a_failed_write_keeps_the_old_partition(subject: Subject) -> None:
    """A write that fails leaves its partition, and the others, as they were."""
    fruits = two_shops(subject)

    fruits.refusal_of(subject.make_frame(_ILL_TYPED), "north")

    expect(fruits.stored(), _NORTH, _SOUTH)


def a_failed_range_keeps_every_old_partition(subject: Subject) -> None:
    """A range that fails leaves each of its partitions as it was."""
    fruits = shop_table(subject)
    east = stock("east", "plum")
    fruits.write(joined(_NORTH, east, _SOUTH), ("north", "south"))

    mixed = subject.make_frame({"shop": ["north", "east"], "number": ["few", "many"], "name": ["fig", "fig"]})
    fruits.refusal_of(mixed, ("north", "east"))

    expect(fruits.stored(), _NORTH, east, _SOUTH)


def a_failed_write_can_be_tried_again(subject: Subject) -> None:
    """After a failed write the next one succeeds: nothing is left locked or half replaced."""
    fruits = two_shops(subject)
    fruits.refusal_of(subject.make_frame(_ILL_TYPED), "north")

    fruits.write(stock("north", "quince"), "north")

    expect(fruits.stored(), stock("north", "quince"), _SOUTH)


def a_write_that_fails_midway_keeps_the_old_table(subject: Subject) -> None:
    """A write that fails at its last row leaves no row of the ones before."""
    fruits = Table(subject=subject)
    good = {name: values[:1] for name, values in subject.unwritable.items()}
    fruits.write(good)

    fruits.refusal_of(subject.make_frame(joined(*[good] * 1_000, subject.unwritable)))

    expect(fruits.stored(), good)


def a_failed_first_write_leaves_no_table(subject: Subject) -> None:
    """A first write that fails leaves no table, which would look like a result without rows."""
    fruits = Table(subject=subject)

    fruits.refusal_of(subject.make_frame(subject.unwritable))

    assert fruits.stored() is None, f"left behind: {fruits.stored()}"


def a_new_column_loses_no_old_rows(subject: Subject) -> None:
    """A frame with a new column is stored whole, or refused with the old rows in place."""
    _expect_old_rows_or_new(subject, {**stock("north", "quince"), "colour": ["green"]})


def a_new_column_is_kept_or_refused_by_name(subject: Subject) -> None:
    """A new column is stored, or the error names it: dropped without a word, its values are lost."""
    fruits = Table(subject=subject)
    fruits.write(_NORTH)

    said = fruits.attempt(subject.make_frame({**stock("north", "quince"), "colour": ["green"]}))

    assert "colour" in (said or repr(fruits.stored())), said


def a_missing_column_loses_no_old_rows(subject: Subject) -> None:
    """A frame without a column of the table is stored whole, or refused with the old rows in place."""
    _expect_old_rows_or_new(subject, {"shop": ["north"], "name": ["quince"]})


def a_missing_column_is_left_empty_or_refused_by_name(subject: Subject) -> None:
    """A missing column is NULL or gone with the old table, or the error names it; no other takes its place."""
    fruits = Table(subject=subject)
    fruits.write(_NORTH)

    said = fruits.attempt(subject.make_frame({"shop": ["north"], "name": ["quince"]}))

    if said:
        assert "number" in said, said
    else:
        left = [{"number": None, **row} for row in fruits.stored() or ()]
        expect(left, {"shop": ["north"], "number": [None], "name": ["quince"]})


def _expect_old_rows_or_new(subject: Subject, columns: Columns) -> None:
    fruits = two_shops(subject)

    said = fruits.attempt(subject.make_frame(columns), "north")

    names = sorted(str(row["name"]) for row in fruits.stored() or ())
    assert names == (["apple", "fig", "pear"] if said else ["fig", "quince"]), f"found {names} after {said!r}"
