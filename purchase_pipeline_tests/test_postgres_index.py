"""A pandas frame's named index, and column names that are not strings."""

from datetime import date, datetime
from typing import Any

import pandas as pd
import pytest

from purchase_pipeline.postgres import UnstorableValueError
from purchase_pipeline_tests.direct_io import DirectIOManager, Place

THINGS = Place(["things"])
TWO = {"value": [1.5, 2.5]}


@pytest.mark.parametrize(
    ("index", "columns", "row"),
    [
        (pd.Index(["a", "b"], name="id"), ["id", "value"], ("a", 1.5)),
        (pd.Index([1, 2], name="id", dtype="Int64"), ["id", "value"], (1, 1.5)),
        (
            pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", "y"]),
            ["x", "y", "value"],
            ("a", 1, 1.5),
        ),
        (pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=[None, "y"]), ["y", "value"], (1, 1.5)),
        (
            pd.date_range("2024-01-01", periods=2, name="day"),
            ["day", "value"],
            (datetime(2024, 1, 1), 1.5),
        ),
        (pd.CategoricalIndex(["a", "b"], name="kind"), ["kind", "value"], ("a", 1.5)),
        (pd.Index(["a", "b"]), ["value"], (1.5,)),
    ],
)
def test_the_named_levels_of_an_index_are_the_first_columns(
    database_url: str, index: "pd.Index[Any]", columns: list[str], row: tuple[object, ...]
) -> None:
    manager = DirectIOManager(database_url)

    manager.write(THINGS, pd.DataFrame(TWO, index=index))

    assert list(manager.read_as(pd.DataFrame, THINGS)) == columns
    assert min(manager.read(THINGS)) == row


def test_an_index_named_like_a_column_is_refused(database_url: str) -> None:
    frame = pd.DataFrame(TWO, index=pd.Index([1, 2], name="value"))

    with pytest.raises(UnstorableValueError, match="column 'value': two columns have this name"):
        DirectIOManager(database_url).write(THINGS, frame)


@pytest.mark.parametrize("name", [0, 1.5, None, ("a", "b"), date(2024, 1, 1), pd.NA, True])
def test_a_column_whose_name_is_no_text_is_refused(database_url: str, name: object) -> None:
    frame = pd.DataFrame({"value": [1]})
    frame.columns = pd.Index([name], dtype="object", tupleize_cols=False)

    with pytest.raises(
        UnstorableValueError, match=r"column names must be strings, but .*: rename the column"
    ):
        DirectIOManager(database_url).write(THINGS, frame)


def test_an_index_whose_name_is_no_text_is_refused(database_url: str) -> None:
    frame = pd.DataFrame(TWO, index=pd.Index([1, 2], name=7))

    with pytest.raises(UnstorableValueError, match="column names must be strings, but 7 is int"):
        DirectIOManager(database_url).write(THINGS, frame)


def test_an_index_without_rows_has_its_column(database_url: str) -> None:
    manager = DirectIOManager(database_url)

    manager.write(THINGS, pd.DataFrame({"value": [1.5]}, index=pd.Index([1], name="id"))[:0])

    assert list(manager.read_as(pd.DataFrame, THINGS)) == ["id", "value"]
