"""A value goes into its column as it is, or not at all."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from purchase_pipeline.postgres.write.casts import cast_between, unchanged
from sqlalchemy.dialects.postgresql import ARRAY, INET

from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType

_LISTS_IN_THEMSELVES: list[Any] = []
_LISTS_IN_THEMSELVES.append(_LISTS_IN_THEMSELVES)


@pytest.mark.parametrize(
    ("incoming", "column"),
    [
        (types.TEXT, types.TEXT),
        (types.BIGINT, types.BIGINT),
        (types.BIGINT, types.NUMERIC),
        (types.DOUBLE, types.DOUBLE),
        (types.BOOLEAN, types.BOOLEAN),
        (types.DATE, types.NAIVE),
        (types.NAIVE, types.NAIVE),
        (types.BYTES, types.BYTES),
        (types.TEXT, sa.Uuid()),
        (types.TEXT, INET()),
        (types.UNKNOWN, types.DATE),
        (types.UNKNOWN, types.JSON),
        (sa.VARCHAR(5), sa.VARCHAR(5)),
        (sa.Numeric(10, 2), sa.Numeric(10, 2)),
        (sa.Integer(), sa.Integer()),
    ],
)
def test_what_postgresql_takes_or_refuses_itself_is_handed_on(
    incoming: ColumnType, column: ColumnType
) -> None:
    assert cast_between(incoming, column) is unchanged


@pytest.mark.parametrize(
    ("incoming", "column"),
    [
        (types.TEXT, types.BIGINT),
        (types.BIGINT, types.TEXT),
        (types.BOOLEAN, types.BIGINT),
        (types.DOUBLE, types.BOOLEAN),
        (types.NAIVE, types.ZONED),
        (types.ZONED, types.NAIVE),
        (types.NAIVE, types.DATE),
        (types.NUMERIC, types.BIGINT),
        (types.BYTES, types.TEXT),
        (types.BYTES, types.JSON),
        (types.DATE, types.JSON),
        (types.JSON, types.TEXT),
        (ARRAY(types.TEXT), ARRAY(types.BIGINT)),
        (types.TEXT, ARRAY(types.TEXT)),
    ],
)
def test_types_that_do_not_go_together_have_no_cast(incoming: ColumnType, column: ColumnType) -> None:
    assert cast_between(incoming, column) is None


@pytest.mark.parametrize(
    ("incoming", "column", "value", "expected"),
    [
        (types.BIGINT, sa.Integer(), 2**31 - 1, 2**31 - 1),
        (types.BIGINT, sa.SmallInteger(), -(2**15), -(2**15)),
        (types.BIGINT, types.DOUBLE, 2**53, 2.0**53),
        (types.BIGINT, sa.REAL(), 2**24, 2.0**24),
        (types.DOUBLE, types.BIGINT, 3.0, 3),
        (types.DOUBLE, types.BIGINT, 3, 3),
        (types.DOUBLE, types.NUMERIC, 0.1, Decimal("0.1")),
        (types.DOUBLE, sa.Numeric(10, 2), 1, Decimal(1)),
        (types.DOUBLE, sa.REAL(), 0.5, 0.5),
        (types.DOUBLE, sa.REAL(), math.inf, math.inf),
        (types.NUMERIC, types.DOUBLE, Decimal("0.5"), 0.5),
        (types.NUMERIC, types.NUMERIC, 2**64, Decimal(2**64)),
        (types.NUMERIC, types.NUMERIC, Decimal("0.10"), Decimal("0.10")),
        (types.NUMERIC, types.NUMERIC, Decimal("-Infinity"), Decimal("-Infinity")),
        (types.NUMERIC, sa.Numeric(40, 2), Decimal(f"{'9' * 38}.120"), Decimal(f"{'9' * 38}.12")),
        (types.NUMERIC, sa.Numeric(10, 2), Decimal("1E+3"), Decimal(1000)),
        (types.TEXT, sa.VARCHAR(3), "abc", "abc"),
        (types.ZONED, types.ZONED, datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-3))), "03:00"),
        (ARRAY(types.BIGINT), ARRAY(types.BIGINT), (1, None), [1, None]),
        (ARRAY(types.BIGINT), ARRAY(types.DOUBLE), [1, None], [1.0, None]),
        (ARRAY(types.DOUBLE), ARRAY(types.DOUBLE), [1, 0.5, None], [1.0, 0.5, None]),
        (ARRAY(types.NUMERIC), ARRAY(types.NUMERIC), [1, Decimal("0.5")], [Decimal(1), Decimal("0.5")]),
        (ARRAY(types.UNKNOWN), ARRAY(types.DATE), [None], [None]),
    ],
)
def test_a_value_that_stays_itself_is_cast(
    incoming: ColumnType, column: ColumnType, value: object, expected: object
) -> None:
    cast = cast_between(incoming, column)
    assert cast is not None

    found = cast(value)

    shown = found.strftime("%H:%M") if isinstance(found, datetime) else found
    assert (shown, type(shown)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("incoming", "column", "value", "words"),
    [
        (types.BIGINT, sa.Integer(), 2**31, "2147483648 is beyond INTEGER"),
        (types.BIGINT, sa.SmallInteger(), -(2**15) - 1, "-32769 is beyond SMALLINT"),
        (types.BIGINT, types.DOUBLE, 2**53 + 1, "9007199254740993 has more digits than DOUBLE PRECISION"),
        (types.DOUBLE, types.BIGINT, 1.5, "1.5 is no whole number, and the column is BIGINT"),
        (types.DOUBLE, types.BIGINT, math.nan, "NaN"),
        (types.DOUBLE, types.BIGINT, math.inf, "infinity"),
        (types.DOUBLE, sa.Integer(), 1e10, "10000000000 is beyond INTEGER"),
        (types.DOUBLE, sa.Numeric(10, 2), 0.125, r"Decimal\('0.125'\) has more than 2 decimals"),
        (types.DOUBLE, sa.REAL(), 0.1, "0.1 has more digits than REAL"),
        (types.DOUBLE, sa.REAL(), 1e300, "has more digits than REAL"),
        (types.NUMERIC, types.DOUBLE, Decimal("0.1"), "has more digits than DOUBLE PRECISION"),
        (types.NUMERIC, types.DOUBLE, Decimal("sNaN"), "signaling NaN"),
        (types.NUMERIC, types.DOUBLE, 10**400, "too large"),
        (types.NUMERIC, sa.Numeric(10, 2), Decimal("0.125"), "has more than 2 decimals"),
        (types.NUMERIC, sa.Numeric(40, 2), Decimal(f"{'9' * 38}.125"), "has more than 2 decimals"),
        (types.NUMERIC, types.NUMERIC, Decimal("1E-16384"), "has more than 16383 decimals"),
        (types.NUMERIC, types.NUMERIC, Decimal(f"0.{'3' * 16384}"), "has more than 16383 decimals"),
        (types.TEXT, sa.VARCHAR(3), "abcd", r"'abcd' has 4 characters, and the column is VARCHAR\(3\)"),
        (types.ZONED, types.ZONED, datetime(2024, 1, 1), "2024-01-01 00:00:00 has no zone"),
        (types.ZONED, types.ZONED, datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-3))), "range"),
        (ARRAY(types.BIGINT), ARRAY(types.DOUBLE), [1, 2**53 + 1], "9007199254740993 has more digits"),
        (ARRAY(types.NUMERIC), ARRAY(sa.Numeric(5, 1)), [Decimal("0.25")], "has more than 1 decimals"),
    ],
)
def test_a_value_that_would_change_is_refused(
    incoming: ColumnType, column: ColumnType, value: object, words: str
) -> None:
    cast = cast_between(incoming, column)
    assert cast is not None

    with pytest.raises((ValueError, TypeError, OverflowError), match=words):
        cast(value)


@pytest.mark.parametrize(
    ("incoming", "value", "expected"),
    [
        (types.JSON, {"maçã": [1, None, True, "it's"]}, '{"maçã": [1, null, true, "it\'s"]}'),
        (types.TEXT, "a", '"a"'),
        (types.DOUBLE, 0.5, "0.5"),
        (types.BOOLEAN, True, "true"),
        (ARRAY(types.BIGINT), [1, None], "[1, null]"),
        (types.JSON, {"a": (1, 2)}, '{"a": [1, 2]}'),
        (types.JSON, [1e16, -1.5e20, 1e-7], "[10000000000000000.0, -150000000000000000000.0, 1e-07]"),
        (types.JSON, {"1e+16": '"1e+16"', "a": 1e16}, r'{"1e+16": "\"1e+16\"", "a": 10000000000000000.0}'),
    ],
)
def test_json_keeps_floats_floats_and_texts_as_they_are(
    incoming: ColumnType, value: object, expected: str
) -> None:
    cast = cast_between(incoming, types.JSON)
    assert cast is not None

    assert cast(value) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": math.nan}, "not JSON compliant"),
        ({"a": [math.inf]}, "not JSON compliant"),
        ({"a": {1: "b"}}, "JSON keys are texts, and 1 is none"),
        ([{None: 1}], "JSON keys are texts, and None is none"),
        ({"a": Decimal(1)}, "Decimal is not JSON serializable"),
        ({"a": datetime(2024, 1, 1, tzinfo=UTC)}, "datetime is not JSON serializable"),
        (_LISTS_IN_THEMSELVES, "nested too deep, or in themselves"),
    ],
)
def test_what_json_cannot_say_is_refused(value: object, words: str) -> None:
    cast = cast_between(types.JSON, types.JSON)
    assert cast is not None

    with pytest.raises((ValueError, TypeError), match=words):
        cast(value)
