"""A field's bounds in words, for people who look at its column."""

from collections.abc import Iterable
from typing import Any

_WORDS = {
    "gt": "> {}",
    "ge": "≥ {}",
    "lt": "< {}",
    "le": "≤ {}",
    "multiple_of": "a multiple of {}",
    "min_length": "at least {} long",
    "max_length": "at most {} long",
    "max_digits": "at most {} digits",
    "decimal_places": "at most {} decimal places",
}


def message_of(bounds: Iterable[Any]) -> list[str]:
    """Return a pydantic field's bounds, one phrase each. Patterns, and validators of one's own, are no words."""
    return [
        words.format(value)
        for bound in bounds
        for name, words in _WORDS.items()
        if (value := getattr(bound, name, None)) is not None
    ]
