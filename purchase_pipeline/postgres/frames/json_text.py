"""Lossless conversion between JSON text and dicts and lists."""

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from purchase_pipeline.postgres.schema.types import short_repr

_SURROGATE = re.compile(r"\\u[dD]")
_TEXT_OR_LARGE_FLOAT = re.compile(r'"(?:[^"\\]|\\.)*"|-?[\d.]+e\+\d+')


def json_text(value: object) -> str:
    """Return dicts, lists and scalars as JSON text.

    Raises:
        TypeError: a key is not a string, or a value is not JSON.
        ValueError: NaN, infinity, or too deep nesting.
    """
    try:
        _reject_non_text_keys(value)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except RecursionError as error:
        raise ValueError("lists and dicts are nested too deep, or contain themselves") from error
    return _TEXT_OR_LARGE_FLOAT.sub(_with_decimal_point, text) if "e+" in text else text


def json_values(texts: Sequence[str | None]) -> Sequence[Any]:
    """Return JSON texts as dicts and lists; unchanged if one is neither, or would change.

    That is a number that is not exact as a float, an object with duplicate keys, or a lone surrogate.

    Scalars stay text: written back, they could not be distinguished from strings, nor null from NULL.
    """
    if not all(text is None or text[:1] in "{[" for text in texts):
        return texts
    try:
        return [None if text is None else _loaded(text) for text in texts]
    except (ValueError, RecursionError):
        return texts


def require_distinct_keys(text: str) -> None:
    """Check that a text is JSON without duplicate keys, of which JSONB keeps only the last.

    Raises:
        ValueError: it is not.
    """
    try:
        json.loads(text, object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        raise ValueError(f"{short_repr(text)} is not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{short_repr(text)} is nested too deep") from error


def _loaded(text: str) -> Any:  # noqa: ANN401
    value = json.loads(text, parse_float=_exact_float, object_pairs_hook=_distinct)
    if _SURROGATE.search(text):
        json_text(value).encode()  # raises for a lone surrogate, which only JSON text can hold
    return value


def _distinct(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a JSON object has duplicate keys among {short_repr([key for key, _ in pairs])}")
    return found


def _exact_float(digits: str) -> float:
    number = float(digits)
    if Decimal(digits) != Decimal(repr(number)):
        raise ValueError(f"{digits} is not exact as a float")
    return number


def _with_decimal_point(match: re.Match[str]) -> str:
    """Write large floats without exponent: PostgreSQL would turn 1e+16 into an integer."""
    token = match.group()
    return token if token.startswith('"') else f"{Decimal(token):f}.0"


def _reject_non_text_keys(value: object) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"JSON keys must be strings, not {short_repr(key)}")
            _reject_non_text_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _reject_non_text_keys(inner)
