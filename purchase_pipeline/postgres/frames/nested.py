"""What typed frames must know, and PostgreSQL does not say: the shape of JSON, the scale of NUMERIC."""

import json
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

Shape = Any
"""None where every value is null; a class for scalars; a dict of shapes for objects; a list of one for arrays."""

MIXED: Shape = object()


def shape_of(values: Iterable[Any]) -> Shape:
    """Return the shape that all the values have, or MIXED: other keys, other classes, or an integer beyond 64 bits."""
    found: Shape = None
    for value in values:
        found = _both(found, _shape(value))
        if found is MIXED:
            break
    return found


def as_json(values: Iterable[Any]) -> list[str | None]:
    """Return each value as the text that JSON has for it, and None for a missing one."""
    return [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]


def as_text(values: Iterable[Any]) -> list[Any]:
    """Return each value as its text, in lists too, and None for a missing one."""
    return [
        None if value is None else as_text(value) if isinstance(value, list) else str(value)
        for value in values
    ]


def digits_of(values: Iterable[Decimal | None], scale: int) -> float:
    """Return how many digits hold all the values with so many decimals; NaN and the infinities, none do."""
    return max(
        (
            value.adjusted() + 1 + scale if value.is_finite() else math.inf
            for value in values
            if value is not None
        ),
        default=0,
    )


def scale_of(column_type: Any, values: Sequence[Decimal | None]) -> int:  # noqa: ANN401
    """Return how many decimals the column is declared with, or else the most that a value has."""
    if column_type.scale is not None:
        return int(column_type.scale)
    exponents = (value.as_tuple().exponent for value in values if value is not None)
    return max((-exponent for exponent in exponents if isinstance(exponent, int) and exponent < 0), default=0)


def _shape(value: Any) -> Shape:  # noqa: ANN401
    if isinstance(value, dict):
        shapes = {key: _shape(inner) for key, inner in value.items()}
        return shapes if shapes and MIXED not in shapes.values() else MIXED
    if isinstance(value, list):
        element = shape_of(value)
        return MIXED if element is MIXED else [element]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return MIXED
    return None if value is None else type(value)


def _both(one: Shape, other: Shape) -> Shape:
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        shapes = {key: _both(one[key], other[key]) for key in one}
        return MIXED if MIXED in shapes.values() else shapes
    if isinstance(one, list) and isinstance(other, list):
        element = _both(one[0], other[0])
        return MIXED if element is MIXED else [element]
    return one if one is other else MIXED
