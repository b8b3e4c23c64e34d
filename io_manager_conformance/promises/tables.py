"""Tables: an asset is a table, which a write replaces and an input reads."""

from typing import Any

import dagster as dg

from io_manager_conformance.fruits import stock
from io_manager_conformance.subject import Subject
from io_manager_conformance.table_under_test import QUIET, Table, expect

_NORTH, _SOUTH = stock("north", "apple", "pear"), stock("south", "fig")


def the_last_part_of_the_asset_key_is_the_table(subject: Subject) -> None:
    """The key's last part names the table, the one before its schema, so that a key says where to look."""
    fruits = Table(subject=subject, key=("farm", "market", "fruits"))

    fruits.write(_NORTH)

    expect(subject.stored("fruits", "market"), _NORTH)


def a_key_without_prefix_is_in_the_public_schema(subject: Subject) -> None:
    """A key of one part goes to `public`, where a SQL client looks first."""
    Table(subject=subject).write(_NORTH)

    expect(subject.stored("fruits", "public"), _NORTH)


def the_configured_schema_goes_before_the_key_prefix(subject: Subject) -> None:
    """The configured schema takes precedence over the key's prefix: one setting moves all tables."""
    Table(subject=subject, key=("market", "fruits"), schema="hall").write(_NORTH)

    expect(subject.stored("fruits", "hall"), _NORTH)
    assert subject.stored("fruits", "market") is None, "the key prefix was taken too"


def the_schema_in_the_metadata_goes_before_all(subject: Subject) -> None:
    """An asset's own `schema` takes precedence over all, because one table may have to be elsewhere."""
    fruits = Table(subject=subject, key=("market", "fruits"), schema="hall", metadata={"schema": "cellar"})

    fruits.write(_NORTH)

    expect(subject.stored("fruits", "cellar"), _NORTH)
    expect(fruits.rows(), _NORTH)


def an_op_output_is_kept_by_its_name(subject: Subject) -> None:
    """An op's output, which has no asset key, is stored by its name: jobs of ops use IO managers too."""
    eaten: list[object] = []

    @dg.op(out={"apples": dg.Out()})
    def pick() -> Any:  # noqa: ANN401  (the subject's type, which Dagster need not know)
        return subject.make_frame(_NORTH)

    @dg.op(ins={"apples": dg.In(subject.frame_type)})
    def eat(apples: Any) -> None:  # noqa: ANN401
        eaten.append(apples)

    @dg.job(resource_defs={"io_manager": subject.io_manager()})
    def dinner() -> None:
        eat(pick())

    dinner.execute_in_process(run_config=QUIET, instance=subject.instance)

    expect(subject.stored("apples"), _NORTH)
    expect(subject.rows_of(eaten[0]), _NORTH)


def writing_replaces_the_table_whole(subject: Subject) -> None:
    """A second write leaves its own rows alone, because a run may be repeated at any time."""
    fruits = Table(subject=subject)
    fruits.write(_NORTH)

    fruits.write(_SOUTH)

    expect(fruits.stored(), _SOUTH)


def an_empty_frame_empties_the_table(subject: Subject) -> None:
    """No rows are a result too: the rows of the run before must not stay as if they were of this one."""
    fruits = Table(subject=subject)
    fruits.write(_NORTH)

    fruits.write_empty(_NORTH)

    expect(fruits.stored())


def an_empty_frame_makes_a_table_that_keeps_its_columns(subject: Subject) -> None:
    """The first write may have no rows; the asset downstream still finds the table and its columns."""
    fruits = Table(subject=subject)

    fruits.write_empty(_NORTH)

    assert list(subject.columns_of(fruits.read())) == list(_NORTH)


def a_table_made_by_an_empty_frame_takes_rows_later(subject: Subject) -> None:
    """A table that was created without rows accepts the first ones, with the types that they need."""
    fruits = Table(subject=subject)
    fruits.write_empty(_NORTH)

    fruits.write(_NORTH)

    expect(fruits.rows(), _NORTH)


def an_input_takes_the_columns_it_asks_for_in_its_order(subject: Subject) -> None:
    """An input with `columns` in its metadata receives these, in this order, so that it need not read the others."""
    fruits = Table(subject=subject)
    fruits.write(_NORTH)

    frame = fruits.read(columns=["name", "number"])

    assert list(subject.columns_of(frame)) == ["name", "number"]
    expect(subject.rows_of(frame), {"name": ["apple", "pear"], "number": [1, 2]})


def an_input_may_ask_for_columns_with_odd_names(subject: Subject) -> None:
    """`columns` are names, not SQL: a reserved word, a space or a quote is part of the name."""
    fruits = Table(subject=subject)
    fruits.write({"order": [1], "Unit Price": [2], '100% "sure"': [3]})

    frame = fruits.read(columns=['100% "sure"', "order", "Unit Price"])

    expect(subject.rows_of(frame), {'100% "sure"': [3], "order": [1], "Unit Price": [2]})


def columns_in_another_order_find_their_own_places(subject: Subject) -> None:
    """Columns are matched by name, because by position the values of two columns change places without an error."""
    fruits = Table(subject=subject)
    fruits.write({"name": ["apple"], "colour": ["red"]})

    fruits.write({"colour": ["green"], "name": ["pear"]})

    expect(fruits.stored(), {"name": ["pear"], "colour": ["green"]})


def an_asset_without_a_value_is_refused(subject: Subject) -> None:
    """None in place of a frame is an error of the asset, which must not look like a success."""
    fruits = Table(subject=subject)
    fruits.write(_NORTH)

    assert "None" in fruits.refusal_of(None)

    expect(fruits.stored(), _NORTH)


def an_unsupported_type_is_refused_by_name(subject: Subject) -> None:
    """A value of another type is refused with the type's name, which is what its author has to change."""
    assert "complex" in Table(subject=subject).refusal_of(1j)
