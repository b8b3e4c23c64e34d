"""An inferred column type holds all values and is never narrower than necessary."""

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, CITEXT, INET, JSON, TIMESTAMP

from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.inference import NoColumnTypeError, common_type, inferred_type
from purchase_pipeline.postgres.schema.types import ColumnType, family, sql


class Colour(Enum):
    """An enum with plain members."""

    RED = "red"


class Size(IntEnum):
    """An enum whose members are integers."""

    SMALL = 1


class Label(str):
    """A subclass of str."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], "unknown"),
        ([None, None], "unknown"),
        ([True, None, False], "BOOLEAN"),
        ([1, None, -(2**63), 2**63 - 1], "BIGINT"),
        ([1, 2**63], "NUMERIC"),
        ([-(2**63) - 1], "NUMERIC"),
        ([1.5, math.inf, math.nan], "DOUBLE PRECISION"),
        ([1, 1.5], "DOUBLE PRECISION"),
        ([2**53, 0.5], "DOUBLE PRECISION"),
        ([1, Decimal("1.5")], "NUMERIC"),
        (["a", Label("b")], "TEXT"),
        ([b"a", bytearray(b"b"), memoryview(b"c")], "BYTEA"),
        ([date(1, 1, 1)], "DATE"),
        ([time(1)], "TIME WITHOUT TIME ZONE"),
        ([datetime(1, 1, 1)], "TIMESTAMP WITHOUT TIME ZONE"),
        ([datetime(1, 1, 1, tzinfo=UTC)], "TIMESTAMP WITH TIME ZONE"),
        ([timedelta(1)], "INTERVAL"),
        ([UUID(int=1)], "UUID"),
        ([{"a": 1}, {}], "JSONB"),
        ([[1, None], [], None], "BIGINT[]"),
        ([[]], "unknown[]"),
        ([[], ["a"]], "TEXT[]"),
        ([(1, 2)], "BIGINT[]"),
        ([[1], [1.5]], "DOUBLE PRECISION[]"),
        ([[1, Decimal(2)]], "NUMERIC[]"),
        ([[1, "a"]], "JSONB"),
        ([[1], ["a"]], "JSONB"),
        ([[1], {"a": 1}], "JSONB"),
        ([[[1]]], "JSONB"),
        ([[{}]], "JSONB"),
        ([[2**53 + 1, 0.5]], "JSONB"),
    ],
)
def test_a_type_holds_all_values_of_its_column(values: list[object], expected: str) -> None:
    assert sql(inferred_type(values)) == expected


@pytest.mark.parametrize(
    ("values", "position", "words"),
    [
        ([1, None, 1j], 2, "1j is complex"),
        ([Colour.RED], 0, "RED: 'red'> is Colour"),
        ([1, Size.SMALL], 1, "is Size"),
        ([{1}], 0, r"\{1\} is set"),
        ([time(1), time(1, tzinfo=UTC)], 1, "is time, which no column type stores"),
        ([1, "a"], 1, "'a' is str, but the values before it are BIGINT"),
        ([True, 1], 1, "1 is int, but the values before it are BOOLEAN"),
        ([date(1, 1, 1), datetime(1, 1, 1)], 1, "is datetime, but the values before it are DATE"),
        ([datetime(1, 1, 1), datetime(1, 1, 1, tzinfo=UTC)], 1, "before it are TIMESTAMP WITHOUT TIME ZONE"),
        ([{"a": 1}, "a"], 1, "before it are JSONB"),
        ([[], 1], 1, r"1 is int, but the values before it are unknown\[\]"),
        ([1.5, Decimal(1)], 1, "is Decimal, but the values before it are DOUBLE PRECISION"),
        ([1.5, 2**63], 1, "is int, but the values before it are DOUBLE PRECISION"),
        ([2**53 + 1, 0.5], 0, "9007199254740993 among floats"),
        ([0.5, 1, -(2**53) - 1], 2, "-9007199254740993 among floats"),
        (["a" * 100, 1j], 1, "1j is complex"),
        ([1, "a" * 100], 1, r"^'a{76}\.\.\. is str"),
    ],
)
def test_what_no_type_holds_is_refused_by_its_position(
    values: list[object], position: int, words: str
) -> None:
    with pytest.raises(NoColumnTypeError, match=words) as caught:
        inferred_type(values)

    assert caught.value.position == position


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (types.UNKNOWN, types.DATE, types.DATE),
        (types.TEXT, types.TEXT, types.TEXT),
        (types.BIGINT, types.NUMERIC, types.NUMERIC),
        (types.BIGINT, types.DOUBLE, types.DOUBLE),
        (ARRAY(types.UNKNOWN), ARRAY(types.TEXT), ARRAY(types.TEXT)),
        (ARRAY(types.BIGINT), ARRAY(types.TEXT), types.JSON),
        (ARRAY(types.BIGINT), types.JSON, types.JSON),
        (types.NUMERIC, types.DOUBLE, None),
        (types.BOOLEAN, types.BIGINT, None),
        (types.DATE, types.NAIVE, None),
        (types.NAIVE, types.ZONED, None),
        (types.TEXT, types.JSON, None),
        (types.TEXT, ARRAY(types.TEXT), None),
    ],
)
def test_two_types_have_a_common_one_or_none_either_way(
    one: ColumnType, other: ColumnType, expected: ColumnType | None
) -> None:
    found = [common_type(one, other), common_type(other, one)]

    assert [kind and sql(kind) for kind in found] == [expected and sql(expected)] * 2


@pytest.mark.parametrize(
    ("spellings", "expected"),
    [
        ([sa.BigInteger(), sa.BIGINT()], "BIGINT"),
        ([sa.Integer(), sa.INTEGER()], "INTEGER"),
        ([sa.Float(), sa.Float(53), sa.Double(), sa.DOUBLE_PRECISION()], "DOUBLE PRECISION"),
        ([sa.REAL(), sa.Float(24)], "REAL"),
        ([sa.Numeric(), sa.NUMERIC()], "NUMERIC"),
        ([sa.Numeric(10), sa.Numeric(10, 0)], "NUMERIC(10, 0)"),
        ([sa.Numeric(10, 2)], "NUMERIC(10, 2)"),
        ([sa.Text(), sa.TEXT()], "TEXT"),
        ([sa.String(5), sa.VARCHAR(5)], "VARCHAR(5)"),
        ([sa.DateTime(), TIMESTAMP()], "TIMESTAMP WITHOUT TIME ZONE"),
        ([sa.DateTime(timezone=True), TIMESTAMP(timezone=True)], "TIMESTAMP WITH TIME ZONE"),
        ([sa.LargeBinary(), types.BYTES], "BYTEA"),
        ([ARRAY(sa.Text()), sa.ARRAY(sa.TEXT())], "TEXT[]"),
        ([sa.Uuid(), sa.UUID()], "UUID"),
    ],
)
def test_spellings_of_one_type_give_one_text(spellings: list[ColumnType], expected: str) -> None:
    assert [sql(spelling) for spelling in spellings] == [expected] * len(spellings)


@pytest.mark.parametrize(
    ("column_type", "expected"),
    [
        (types.UNKNOWN, "unknown"),
        (sa.SmallInteger(), "integer"),
        (sa.Numeric(10, 2), "numeric"),
        (sa.REAL(), "float"),
        (sa.VARCHAR(5), "text"),
        (CITEXT(), "text"),
        (sa.Enum("a", name="letter"), "other"),
        (INET(), "other"),
        (JSON(), "json"),
        (types.JSON, "json"),
        (sa.ARRAY(sa.Text()), "array"),
        (types.BYTES, "bytes"),
        (types.NAIVE, "timestamp"),
        (types.ZONED, "zoned timestamp"),
        (types.DURATION, "interval"),
        (sa.Interval(), "interval"),
        (types.IDENTIFIER, "uuid"),
    ],
)
def test_a_family_is_the_kind_of_values_whatever_their_bounds(column_type: ColumnType, expected: str) -> None:
    assert family(column_type) == expected
