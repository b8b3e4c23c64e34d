"""JSON as text, and as dicts and lists, where neither way changes a value."""

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from purchase_pipeline.postgres.schema.types import short_repr

_SURROGATE = re.compile(r"\\u[dD]")
_TEXT_OR_LARGE_FLOAT = re.compile(r'"(?:[^"\\]|\\.)*"|-?[\d.]+e\+\d+')


def json_text(value: object) -> str:
    """Return a value of dicts, lists and scalars as JSON's text.

    Raises:
        TypeError: a key that is no text, or a value that JSON has none for.
        ValueError: NaN or an infinity, or what is nested too deep.
    """
    try:
        _refuse_non_text_keys(value)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except RecursionError as error:
        raise ValueError("lists and dicts nested too deep, or in themselves") from error
    return _TEXT_OR_LARGE_FLOAT.sub(_with_decimal_point, text) if "e+" in text else text


def json_values(texts: Sequence[str | None]) -> Sequence[Any]:
    """Return texts of JSON as dicts and lists; as they are where one is neither, or would change.

    That is one with a number that is no float, an object that has a key twice, or half a character.

    A scalar alone stays text: written back, it could not be told from a text that is no JSON, nor null from a missing
    value.
    """
    if not all(text is None or text[:1] in "{[" for text in texts):
        return texts
    try:
        return [None if text is None else _loaded(text) for text in texts]
    except (ValueError, RecursionError):
        return texts


def require_distinct_keys(text: str) -> None:
    """Make sure that a text is JSON in which no object has a key twice: JSONB keeps but the last.

    Raises:
        ValueError: it is not.
    """
    try:
        json.loads(text, object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        raise ValueError(f"{short_repr(text)} is no JSON: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{short_repr(text)} is nested too deep") from error


def _loaded(text: str) -> Any:  # noqa: ANN401
    value = json.loads(text, parse_float=_exact_float, object_pairs_hook=_distinct)
    if _SURROGATE.search(text):
        json_text(
            value
        ).encode()  # of half a character, which only JSON's own text has a form for, this is an error
    return value


def _distinct(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a JSON object has a key twice, among {short_repr([key for key, _ in pairs])}")
    return found


def _exact_float(digits: str) -> float:
    number = float(digits)
    if Decimal(digits) != Decimal(repr(number)):
        raise ValueError(f"{digits} is no float")
    return number


def _with_decimal_point(match: re.Match[str]) -> str:
    """Write a large float out: of 1e+16, PostgreSQL would make an integer."""
    token = match.group()
    return token if token.startswith('"') else f"{Decimal(token):f}.0"


def _refuse_non_text_keys(value: object) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"JSON keys are texts, and {short_repr(key)} is none")
            _refuse_non_text_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_non_text_keys(inner)
