"""The shape of JSON is that of the values, where they agree."""

import pytest

from purchase_pipeline.postgres.frames.nested import MIXED, shape_of


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([None, None], None),
        ([1, None, 2], int),
        ([True, False], bool),
        (["a"], str),
        ([0.5], float),
        ([{"a": 1, "b": None}, {"b": "x", "a": None}, None], {"a": int, "b": str}),
        ([{"a": {"b": [1]}}, {"a": {"b": []}}, {"a": None}], {"a": {"b": [int]}}),
        ([[1], [], [None], None], [int]),
        ([[], []], [None]),
        ([[{"a": 1}], [{"a": 2}, None]], [{"a": int}]),
        ([2**63 - 1, -(2**63)], int),
    ],
)
def test_values_alike_have_one_shape(values: list[object], expected: object) -> None:
    assert shape_of(values) == expected


@pytest.mark.parametrize(
    "values",
    [
        [1, "a"],
        [1, True],
        [1, 0.5],
        [{"a": 1}, {"b": 1}],
        [{"a": 1}, {"a": 1, "b": 2}],
        [{"a": 1}, {"a": "x"}],
        [{"a": 1}, [1]],
        [{"a": {"b": 1}}, {"a": {"b": "x"}}],
        [[1], ["a"]],
        [[1, "a"]],
        [{}],
        [{"a": {}}],
        [2**63],
        [[-(2**63) - 1]],
    ],
)
def test_values_that_differ_have_none(values: list[object]) -> None:
    assert shape_of(values) is MIXED
