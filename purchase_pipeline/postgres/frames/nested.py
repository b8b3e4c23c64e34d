"""The shape of JSON values, which typed frames need and PostgreSQL does not provide."""

from collections.abc import Iterable
from typing import Any

Shape = Any
"""None if all values are null; a class for scalars; a dict of shapes for objects; a list of one shape for arrays."""

MIXED: Shape = object()


def shape_of(values: Iterable[Any]) -> Shape:
    """Return the shape of all values, or MIXED: different keys or classes, or an integer beyond 64 bits."""
    found: Shape = None
    for value in values:
        found = _merged_shapes(found, _shape(value))
        if found is MIXED:
            break
    return found


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


def _merged_shapes(one: Shape, other: Shape) -> Shape:
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        shapes = {key: _merged_shapes(one[key], other[key]) for key in one}
        return MIXED if MIXED in shapes.values() else shapes
    if isinstance(one, list) and isinstance(other, list):
        element = _merged_shapes(one[0], other[0])
        return MIXED if element is MIXED else [element]
    return one if one is other else MIXED
