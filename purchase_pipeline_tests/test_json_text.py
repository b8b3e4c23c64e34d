"""JSON as text, and as dicts and lists: neither way changes a value."""

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purchase_pipeline.postgres.frames.json_text import json_text, json_values, require_distinct_keys

_LISTS_IN_THEMSELVES: list[Any] = []
_LISTS_IN_THEMSELVES.append(_LISTS_IN_THEMSELVES)
_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"maçã": [1, None, True, "it's"]}, '{"maçã": [1, null, true, "it\'s"]}'),
        ("a", '"a"'),
        (0.5, "0.5"),
        (True, "true"),
        ([1, None], "[1, null]"),
        ({"a": (1, 2)}, '{"a": [1, 2]}'),
        ([1e16, -1.5e20, 1e-7], "[10000000000000000.0, -150000000000000000000.0, 1e-07]"),
        ({"1e+16": '"1e+16"', "a": 1e16}, r'{"1e+16": "\"1e+16\"", "a": 10000000000000000.0}'),
    ],
)
def test_json_keeps_floats_floats_and_texts_as_they_are(value: object, expected: str) -> None:
    assert json_text(value) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": math.nan}, "not JSON compliant"),
        ({"a": [math.inf]}, "not JSON compliant"),
        ({"a": {1: "b"}}, "JSON keys must be strings, not 1"),
        ([{None: 1}], "JSON keys must be strings, not None"),
        ({"a": Decimal(1)}, "Decimal is not JSON serializable"),
        ({"a": datetime(2024, 1, 1, tzinfo=UTC)}, "datetime is not JSON serializable"),
        (_LISTS_IN_THEMSELVES, "nested too deep, or contain themselves"),
    ],
)
def test_what_json_cannot_say_is_refused(value: object, words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        json_text(value)


@given(st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_dicts_and_lists_come_back_equal(value: object) -> None:
    (found,) = json_values([json_text([value])])

    assert repr(found) == repr([value])


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], []),
        ([None, "{}"], [None, {}]),
        (['{"a": 1}', "[1, 0.5]"], [{"a": 1}, [1, 0.5]]),
        ([f"[{2**64}, -0.0, 1e16, 1.50]"], [[2**64, -0.0, 1e16, 1.5]]),
    ],
)
def test_objects_and_arrays_become_dicts_and_lists(texts: list[str | None], expected: list[Any]) -> None:
    assert json_values(texts) == expected


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "null",
        '"a"',
        "[0.1234567890123456789]",
        '{"a": [1e400]}',
        '{"a": 1, "a": 2}',
        '[{"b": {"a": 1, "a": 1}}]',
        f"[{'9' * 5000}]",
        "[" * 100_000 + "]" * 100_000,
    ],
)
def test_a_column_with_one_that_would_change_stays_text(text: str) -> None:
    assert json_values(["{}", None, text]) == ["{}", None, text]


@pytest.mark.parametrize("text", ["{}", "1", "null", '{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}'])
def test_keys_may_be_there_again_in_another_object(text: str) -> None:
    require_distinct_keys(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "a": 1}', r"has duplicate keys among \['a', 'a'\]"),
        ('[{"b": {"a": 1, "\\u0061": 2}}]', "has duplicate keys"),
        ("here", "'here' is not JSON: Expecting value"),
        ("", "'' is not JSON"),
        ("[" * 100_000, "is nested too deep"),
    ],
)
def test_a_text_that_jsonb_would_change_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        require_distinct_keys(text)
