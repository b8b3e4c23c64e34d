"""Lossless casts of Arrow arrays, and checks for values that PostgreSQL or Python cannot hold."""

from datetime import date, time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.schema.types import short_repr

Array = Any
"""A `pyarrow.Array` or `pyarrow.ChunkedArray`: pyarrow has no type stubs."""

_EPOCH = date(1970, 1, 1)
_FIRST_DAY, _LAST_DAY = (date.min - _EPOCH).days, (date.max - _EPOCH).days
_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_LONGEST = (2**63 - 1) // 10**6


def cast_exactly(name: str, values: Array, kind: Any, reason: str | None = None) -> Array:  # noqa: ANN401
    """Cast an array without a loss.

    Raises:
        RefusedValueError: the first value that Arrow would change, with Arrow's message or the reason, in which `{}` is
            the value.
    """
    if values.type == kind:
        return values
    try:
        return values.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        first, beyond = 0, len(values)
        while beyond - first > 1:  # bisect for the first that fails
            middle = (first + beyond) // 2
            first, beyond = (middle, beyond) if _casts(values[first:middle], kind) else (first, middle)
        if not len(values) or _casts(values[first:beyond], kind):
            raise RefusedValueError(name, None, str(error)) from error
        value = short_repr(values[first].as_py())
        raise RefusedValueError(
            name, first, str(error) if reason is None else reason.format(value)
        ) from error


def reject_first(name: str, values: Array, wrong: Array, reason: str) -> None:
    """Raise for the first value where the mask is true; `{}` in the reason is the value.

    Raises:
        RefusedValueError: the mask is true somewhere.
    """
    position = pc.index(wrong, True).as_py()
    if position >= 0:
        raise RefusedValueError(name, position, reason.format(_shown(values[position])))


def reject_times(name: str, values: Array) -> None:
    """Raise for dates, times and durations that Python, or microseconds, cannot represent."""
    kind = values.type
    unit = getattr(kind, "unit", None)
    if unit is None:
        unit = "ms" if pa.types.is_date64(kind) else "day"
    counts = values.cast(pa.int32() if kind.bit_width == 32 else pa.int64()).cast(pa.int64())  # noqa: PLR2004
    if unit == "ns":
        finer = pc.not_equal(pc.subtract(counts, pc.multiply(pc.divide(counts, 1000), 1000)), 0)
        reject_first(name, values, finer, "{} has a fraction of a microsecond, which cannot be stored")
    if pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and unit != "ns"):  # those span 1677 to 2262
        day = 1 if unit == "day" else 86_400 * _SECOND[unit]
        beyond = pc.or_(pc.less(counts, _FIRST_DAY * day), pc.greater_equal(counts, (_LAST_DAY + 1) * day))
        reject_first(name, values, beyond, "{} is outside the years 1 to 9999, or infinite")
    if pa.types.is_time(kind):
        reject_first(
            name, values, pc.greater_equal(counts, 86_400 * _SECOND[unit]), "24:00 is not a valid time"
        )
    if pa.types.is_duration(kind) and unit in ("s", "ms"):
        longest = _LONGEST * _SECOND[unit]
        beyond = pc.or_(pc.less(counts, -longest), pc.greater(counts, longest))
        reject_first(name, values, beyond, "{} exceeds 64 bits of microseconds")


def _shown(scalar: Any) -> str:  # noqa: ANN401
    try:
        value = scalar.as_py()
        return f"{scalar.value} as {scalar.type}" if isinstance(value, time) else short_repr(value)
    except (ValueError, OverflowError):  # Python cannot represent it
        return f"{scalar.value if hasattr(scalar, 'value') else scalar} as {scalar.type}"


def _casts(values: Array, kind: Any) -> bool:  # noqa: ANN401
    try:
        values.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True
