"""Widening: the type that holds all that a column has, unchanged, and what comes."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType, family, sql

_INTEGERS = ("SMALLINT", "INTEGER", "BIGINT")
_UNBOUNDED = float("inf")


def widened(column: ColumnType, wanted: ColumnType) -> ColumnType | None:
    """Return the narrowest of the two, or of the types above both, that loses nothing of either; None if none does."""
    kinds = family(column), family(wanted)
    if kinds in _WIDENED:
        return _WIDENED[kinds](column, wanted)
    if kinds == ("array", "array"):
        element = widened(column.item_type, wanted.item_type)  # type: ignore[attr-defined]  # both are arrays
        return element and ARRAY(element)
    return None


def _wider_integer(column: ColumnType, wanted: ColumnType) -> ColumnType:
    return max(column, wanted, key=lambda one: _INTEGERS.index(sql(one)))


def _wider_numeric(column: Any, wanted: Any) -> ColumnType:  # noqa: ANN401
    holds = all(one >= other for one, other in zip(_digits(wanted), _digits(column), strict=True))
    return wanted if holds else types.NUMERIC


def _digits(numeric: sa.Numeric[Any]) -> tuple[float, float]:
    """Return how many digits a NUMERIC has before its point, and after."""
    if numeric.precision is None:
        return _UNBOUNDED, _UNBOUNDED
    scale = numeric.scale or 0
    return numeric.precision - scale, scale


def _longer_text(column: Any, wanted: Any) -> ColumnType:  # noqa: ANN401
    lengths = [one.length or _UNBOUNDED for one in (column, wanted)]
    return wanted if lengths[1] >= lengths[0] else types.TEXT


_WIDENED: dict[tuple[str, str], Callable[[ColumnType, ColumnType], ColumnType]] = {
    ("integer", "integer"): _wider_integer,
    ("integer", "numeric"): lambda *_: types.NUMERIC,
    ("numeric", "integer"): lambda *_: types.NUMERIC,
    ("numeric", "numeric"): _wider_numeric,
    ("float", "float"): lambda *_: types.DOUBLE,
    ("text", "text"): _longer_text,
    ("date", "timestamp"): lambda _, wanted: wanted,
}
