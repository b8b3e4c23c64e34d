"""What a column cannot hold although the contract accepts it: NUL, integers beyond BIGINT, NaN and infinity."""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel

from purchase_pipeline.postgres.schema.models import columns_from_model

Check = Callable[[Any], None]
"""Raises ValueError if the column cannot hold a value."""

_FIRST_BEYOND_BIGINT = 2**63
_MOST_DIGITS, _MOST_DECIMALS = 131_072, 16_383  # of a NUMERIC without precision


def checks_of(contract: type[BaseModel]) -> dict[str, Check]:
    """Return a check for each field whose own bounds do not keep its values within its column."""
    found = {}
    for column in columns_from_model(contract):
        check = _check_of(column.type, contract.model_fields[column.name].metadata)
        if check is not None:
            found[column.name] = check
    return found


def _check_of(column_type: sa.types.TypeEngine[Any], bounds: list[Any]) -> Check | None:
    if isinstance(column_type, sa.ARRAY):
        return _each(_check_of(column_type.item_type, []))
    if isinstance(column_type, sa.Text):
        return None if any("x00" in str(getattr(bound, "pattern", "")) for bound in bounds) else _text
    if isinstance(column_type, sa.BigInteger):
        return None if _keeps_within_bigint(bounds) else _integer
    if isinstance(column_type, sa.Double):
        return None if any(getattr(bound, "allow_inf_nan", None) is False for bound in bounds) else _number
    if isinstance(column_type, sa.Numeric):
        return _decimal if column_type.precision is None else None
    return None


def _each(check: Check | None) -> Check | None:
    if check is None:
        return None

    def check_each(values: Any) -> None:  # noqa: ANN401
        for value in values or ():
            check(value)

    return check_each


def _text(value: Any) -> None:  # noqa: ANN401
    if isinstance(value, str) and "\x00" in value:
        raise ValueError("must not contain NUL")


def _integer(value: Any) -> None:  # noqa: ANN401
    if isinstance(value, int) and not -_FIRST_BEYOND_BIGINT <= value < _FIRST_BEYOND_BIGINT:
        raise ValueError("must be an integer of at most 64 bits")


def _number(value: Any) -> None:  # noqa: ANN401
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a finite number")


def _decimal(value: Any) -> None:  # noqa: ANN401
    if not isinstance(value, Decimal):
        return
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError("must be a finite number")  # noqa: TRY004  # it is a decimal: NaN or infinity
    if value.adjusted() >= _MOST_DIGITS or exponent < -_MOST_DECIMALS:
        raise ValueError("must have at most 131,072 digits before the point and 16,383 after it")


def _keeps_within_bigint(bounds: list[Any]) -> bool:
    lowest = [bound.ge for bound in bounds if getattr(bound, "ge", None) is not None]
    lowest += [bound.gt for bound in bounds if getattr(bound, "gt", None) is not None]
    highest = [bound.le for bound in bounds if getattr(bound, "le", None) is not None]
    highest += [bound.lt for bound in bounds if getattr(bound, "lt", None) is not None]
    return (
        max(lowest, default=-math.inf) >= -_FIRST_BEYOND_BIGINT
        and min(highest, default=math.inf) < _FIRST_BEYOND_BIGINT
    )
