"""Widening: the type that holds all existing and all new values unchanged."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType, family, sql

_INTEGERS = ("SMALLINT", "INTEGER", "BIGINT")
_UNBOUNDED = float("inf")


def widened(column: ColumnType, new_type: ColumnType) -> ColumnType | None:
    """Return the narrowest type that holds the values of both without loss, or None."""
    kinds = family(column), family(new_type)
    if kinds in _WIDENED:
        return _WIDENED[kinds](column, new_type)
    if kinds == ("array", "array"):
        element = widened(column.item_type, new_type.item_type)  # type: ignore[attr-defined]  # both are arrays
        return element and ARRAY(element)
    return None


def _wider_integer(column: ColumnType, new_type: ColumnType) -> ColumnType:
    return max(column, new_type, key=lambda one: _INTEGERS.index(sql(one)))


def _wider_numeric(column: Any, new_type: Any) -> ColumnType:  # noqa: ANN401
    holds = all(one >= other for one, other in zip(_digits(new_type), _digits(column), strict=True))
    return new_type if holds else types.NUMERIC


def _digits(numeric: sa.Numeric[Any]) -> tuple[float, float]:
    """Return a NUMERIC's digits before and after its decimal point."""
    if numeric.precision is None:
        return _UNBOUNDED, _UNBOUNDED
    scale = numeric.scale or 0
    return numeric.precision - scale, scale


def _longer_text(column: Any, new_type: Any) -> ColumnType:  # noqa: ANN401
    lengths = [one.length or _UNBOUNDED for one in (column, new_type)]
    return new_type if lengths[1] >= lengths[0] else types.TEXT


_WIDENED: dict[tuple[str, str], Callable[[ColumnType, ColumnType], ColumnType]] = {
    ("integer", "integer"): _wider_integer,
    ("integer", "numeric"): lambda *_: types.NUMERIC,
    ("numeric", "integer"): lambda *_: types.NUMERIC,
    ("numeric", "numeric"): _wider_numeric,
    ("float", "float"): lambda *_: types.DOUBLE,
    ("text", "text"): _longer_text,
    ("date", "timestamp"): lambda _, new_type: new_type,
}
