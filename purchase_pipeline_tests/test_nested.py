"""The shape of JSON and the scale of NUMERIC are those of the values, where they agree."""

import math
from decimal import Decimal
from uuid import UUID

import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres.frames.nested import MIXED, as_json, as_text, digits_of, scale_of, shape_of
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType


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


def test_json_is_the_text_that_it_was() -> None:
    assert as_json([{"maçã": 1}, None, [], "a", 1]) == ['{"maçã": 1}', None, "[]", '"a"', "1"]


def test_texts_are_made_of_values_in_lists_too() -> None:
    values = [UUID(int=1), None, [Decimal("0.10"), None], "a"]

    assert as_text(values) == ["00000000-0000-0000-0000-000000000001", None, ["0.10", None], "a"]


@pytest.mark.parametrize(
    ("column_type", "values", "expected"),
    [
        (types.NUMERIC, [], 0),
        (types.NUMERIC, [None, Decimal("1.5"), Decimal("0.125")], 3),
        (types.NUMERIC, [Decimal("1E+5")], 0),
        (types.NUMERIC, [Decimal("NaN"), Decimal("Infinity"), Decimal("0.5")], 1),
        (sa.Numeric(10, 2), [Decimal("1.5")], 2),
    ],
)
def test_a_scale_is_declared_or_the_most_that_a_value_has(
    column_type: ColumnType, values: list[Decimal | None], expected: int
) -> None:
    assert scale_of(column_type, values) == expected


@pytest.mark.parametrize(
    ("values", "scale", "expected"),
    [
        ([], 2, 0),
        ([None, Decimal("12.5"), Decimal("1.25")], 2, 4),
        ([Decimal("0.01")], 2, 1),
        ([Decimal("1E+5")], 0, 6),
        ([Decimal(1), Decimal("NaN")], 0, math.inf),
        ([Decimal("-Infinity")], 0, math.inf),
    ],
)
def test_digits_are_those_that_hold_every_value(
    values: list[Decimal | None], scale: int, expected: float
) -> None:
    assert digits_of(values, scale) == expected
