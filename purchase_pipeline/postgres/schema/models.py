"""Columns from a pydantic model, so that the schema is written once."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

import sqlalchemy as sa
from pydantic import AwareDatetime, BaseModel, FutureDate, NaiveDatetime, PastDate
from pydantic.fields import FieldInfo
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.inference import inferred_type
from purchase_pipeline.postgres.schema.types import ColumnType

_BEYOND_INTEGER = 2**31
_BOUNDS = {
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
_BY_CLASS: dict[Any, ColumnType] = {
    str: types.TEXT,
    bool: types.BOOLEAN,
    float: types.DOUBLE,
    bytes: types.BYTES,
    date: types.DATE,
    PastDate: types.DATE,
    FutureDate: types.DATE,
    datetime: types.NAIVE,
    NaiveDatetime: types.NAIVE,
    AwareDatetime: types.ZONED,
    time: types.TIME,
    timedelta: types.DURATION,
    UUID: types.IDENTIFIER,
    dict: types.JSON,
    list: types.JSON,
    Any: types.JSON,
}


def columns_from_model(model: type[BaseModel]) -> list[sa.Column[Any]]:
    """Return one column per field, in order, with the field's description as its comment.

    Strings become TEXT even if bounded, so that changing a bound needs no migration. Integers become INTEGER if the
    model bounds them to it, else BIGINT; decimals NUMERIC with the model's digits; `datetime` TIMESTAMP,
    `AwareDatetime` TIMESTAMP WITH TIME ZONE; a list of scalars an array; nested values JSONB. An optional field is
    nullable, and so is `Any`. The bounds are described in the column's `info`.

    Raises:
        TypeError: a field whose type has no column type.
    """
    return [_column(name, field) for name, field in model.model_fields.items()]


def _column(name: str, field: FieldInfo) -> sa.Column[Any]:
    annotation, bounds, optional = _unwrapped(field.annotation, list(field.metadata))
    column_type = _column_type(annotation, bounds)
    if column_type is None:
        raise TypeError(f"Field {name!r}: no column type for {field.annotation!r}.")
    return sa.Column(
        name,
        column_type,
        nullable=optional or not field.is_required(),
        comment=field.description,
        info={"constraints": _constraints(bounds)},
    )


def _unwrapped(annotation: Any, bounds: list[Any]) -> tuple[Any, list[Any], bool]:  # noqa: ANN401
    """Return the annotation without `Annotated` and `| None`, all its bounds, and whether None is allowed."""
    if get_origin(annotation) is Annotated:
        inner, *extras = get_args(annotation)
        more = [bound for one in extras for bound in (one.metadata if isinstance(one, FieldInfo) else [one])]
        return _unwrapped(inner, bounds + more)
    if get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation):
        others = [one for one in get_args(annotation) if one is not NoneType]
        if len(others) == 1:
            return (*_unwrapped(others[0], bounds)[:2], True)
    allows_none = annotation is Any or (get_origin(annotation) is Literal and None in get_args(annotation))
    return annotation, bounds, allows_none


def _column_type(annotation: Any, bounds: list[Any]) -> ColumnType | None:  # noqa: ANN401
    origin = get_origin(annotation)
    if origin is list:
        element = _column_type(*_unwrapped(get_args(annotation)[0], [])[:2])
        scalar = element is not None and types.family(element) not in {"json", "array"}
        return ARRAY(element) if element is not None and scalar else types.JSON
    if origin is Literal:
        return inferred_type(get_args(annotation))
    if annotation is int:
        return sa.Integer() if _fits_integer(bounds) else types.BIGINT
    if annotation is Decimal:
        return _decimal(bounds)
    return _BY_CLASS.get(origin or annotation) or _of_class(annotation)


def _of_class(annotation: object) -> ColumnType | None:
    if not isinstance(annotation, type):
        return None
    if issubclass(annotation, Enum):
        return inferred_type([member.value for member in annotation])
    return types.JSON if issubclass(annotation, BaseModel) else None


def _fits_integer(bounds: list[Any]) -> bool:
    """Return whether the bounds keep all values within INTEGER."""
    lowest = [*_bounds_named(bounds, "ge"), *(bound + 1 for bound in _bounds_named(bounds, "gt"))]
    highest = [*_bounds_named(bounds, "le"), *(bound - 1 for bound in _bounds_named(bounds, "lt"))]
    return max(lowest, default=-_BEYOND_INTEGER - 1) >= -_BEYOND_INTEGER and (
        min(highest, default=_BEYOND_INTEGER) < _BEYOND_INTEGER
    )


def _decimal(bounds: list[Any]) -> ColumnType:
    """Return NUMERIC with the model's digits; precision without scale would mean no decimals to PostgreSQL."""
    digits, places = _bounds_named(bounds, "max_digits"), _bounds_named(bounds, "decimal_places")
    return sa.Numeric(min(digits) if digits and places else None, min(places, default=None))


def _bounds_named(bounds: list[Any], name: str) -> list[Any]:
    return [value for bound in bounds if (value := getattr(bound, name, None)) is not None]


def _constraints(bounds: Iterable[Any]) -> list[str]:
    """Describe a field's bounds, one phrase each. Patterns and custom validators are left out."""
    return [
        words.format(value)
        for bound in bounds
        for name, words in _BOUNDS.items()
        if (value := getattr(bound, name, None)) is not None
    ]
