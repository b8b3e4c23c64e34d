"""Type inference: the column type for Python values. It is never a narrow one.

Integers become BIGINT, texts TEXT, decimals NUMERIC without bounds.
"""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.schema.types import (
    BIGINT,
    BOOLEAN,
    BYTES,
    DATE,
    DOUBLE,
    DURATION,
    IDENTIFIER,
    JSON,
    NAIVE,
    NUMERIC,
    TEXT,
    TIME,
    UNKNOWN,
    ZONED,
    ColumnType,
    family,
    short_repr,
    sql,
)

_BY_CLASS: dict[type, ColumnType] = {
    bool: BOOLEAN,
    float: DOUBLE,
    Decimal: NUMERIC,
    str: TEXT,
    bytes: BYTES,
    bytearray: BYTES,
    memoryview: BYTES,
    date: DATE,
    timedelta: DURATION,
    UUID: IDENTIFIER,
    dict: JSON,
}
_MIXTURES: dict[frozenset[str], ColumnType] = {
    frozenset({"integer", "numeric"}): NUMERIC,
    frozenset({"integer", "float"}): DOUBLE,
    frozenset({"json", "array"}): JSON,
}


class NoColumnTypeError(TypeError):
    """A value that no column type holds, alone or with the values before it.

    Attributes:
        position: index of the value.
    """

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position


def inferred_type(values: Collection[object]) -> ColumnType:
    """Return the type for a column of Python values; None is NULL.

    Raises:
        NoColumnTypeError: a value that no column type holds, alone or with the values before it.
    """
    found, classes = UNKNOWN, set[type]()
    for position, value in enumerate(values):
        if value is None or (value.__class__ in classes and value.__class__ in _BY_CLASS):
            continue
        classes.add(value.__class__)
        value_type = _of_value(value)
        if value_type is None:
            raise NoColumnTypeError(
                position, f"{short_repr(value)} is {type(value).__name__}, which no column type stores"
            )
        mixed = common_type(found, value_type)
        if mixed is None:
            raise NoColumnTypeError(
                position,
                f"{short_repr(value)} is {type(value).__name__}, but the values before it are {sql(found)}",
            )
        found = mixed
    if family(found) == "float" and classes != {float}:
        _reject_inexact_integers(values)
    return found


def inferred_column_type(name: str, values: Collection[object]) -> ColumnType:
    """Return the type for a named column of a batch.

    Raises:
        RefusedValueError: a value that no column type holds, alone or with the values before it.
    """
    try:
        return inferred_type(values)
    except NoColumnTypeError as error:
        raise RefusedValueError(name, error.position, str(error)) from error


def common_type(one: ColumnType, other: ColumnType) -> ColumnType | None:
    """Return the type that holds the values of both inferred types, or None."""
    families = {family(one), family(other)}
    if "unknown" in families:
        return other if family(one) == "unknown" else one
    if families == {"array"}:
        elements = common_type(one.item_type, other.item_type)  # type: ignore[attr-defined]  # both are arrays
        return JSON if elements is None else ARRAY(elements)
    return one if len(families) == 1 else _MIXTURES.get(frozenset(families))


def _of_value(value: object) -> ColumnType | None:
    if isinstance(value, Enum):  # psycopg would write the member's name
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return BIGINT if -(2**63) <= value < 2**63 else NUMERIC
    if isinstance(value, datetime):
        return NAIVE if value.tzinfo is None else ZONED
    if isinstance(value, time):  # PostgreSQL would silently drop the zone
        return TIME if value.tzinfo is None else None
    if isinstance(value, list | tuple):
        return _of_list(value)
    return next((_BY_CLASS[kind] for kind in type(value).__mro__ if kind in _BY_CLASS), None)


def _reject_inexact_integers(values: Collection[object]) -> None:
    for position, value in enumerate(values):
        if isinstance(value, int) and float(value) != value:
            reason = f"{value} among floats would become one, which cannot represent it exactly"
            raise NoColumnTypeError(position, reason)


def _of_list(values: list[Any] | tuple[Any, ...]) -> ColumnType:
    """Return an array type for scalars of one type, JSON for nested or mixed lists."""
    if any(isinstance(value, list | tuple | dict) for value in values):
        return JSON
    try:
        return ARRAY(inferred_type(values))
    except NoColumnTypeError:
        return JSON
