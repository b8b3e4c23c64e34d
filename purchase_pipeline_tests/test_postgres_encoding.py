"""A value is stored unchanged or not at all."""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from purchase_pipeline.postgres import SchemaDriftError, UnstorableValueError
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.native_types import NativeType
from purchase_pipeline.postgres.schema.types import ColumnType
from purchase_pipeline.postgres.write.encoding import encoding_for
from purchase_pipeline_tests.columns import a_table, stored

NOON = datetime(2024, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
SAO_PAULO = timezone(timedelta(hours=-3))
ONE = "00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("incoming", "kind"),
    [
        (types.TEXT, "bigint"),
        (types.BIGINT, "text"),
        (types.BOOLEAN, "bigint"),
        (types.DOUBLE, "boolean"),
        (types.NAIVE, "timestamptz"),
        (types.ZONED, "timestamp"),
        (types.NAIVE, "date"),
        (types.NUMERIC, "bigint"),
        (types.BYTES, "text"),
        (types.BYTES, "jsonb"),
        (types.DATE, "jsonb"),
        (types.JSON, "text"),
        (ARRAY(types.TEXT), "bigint[]"),
        (ARRAY(types.NAIVE), "timestamptz[]"),
        (ARRAY(types.BYTES), "jsonb"),
        (types.TEXT, "text[]"),
    ],
)
def test_types_that_do_not_go_together_have_no_encoding(
    transaction: sa.Connection, incoming: ColumnType, kind: str
) -> None:
    assert encoding_for(incoming, a_table(transaction, kind)) is None


@pytest.mark.parametrize(
    ("incoming", "kind", "staged"),
    [
        (types.TEXT, "text", None),
        (types.BIGINT, "numeric", None),
        (types.DATE, "timestamp", None),
        (types.UNKNOWN, "date", None),
        (types.UNKNOWN, "jsonb", None),
        (types.JSON, "jsonb", None),
        (ARRAY(types.UNKNOWN), "date[]", None),
        (ARRAY(types.ZONED), "timestamptz[]", None),
        (ARRAY(types.IDENTIFIER), "uuid[]", None),
        (types.TEXT, "uuid", "text"),
        (types.TEXT, "inet", "text"),
        (types.UNKNOWN, "inet", "text"),
        (types.NUMERIC, "money", "numeric"),
        (types.DURATION, "interval(0)", "interval"),
        (ARRAY(types.TEXT), "inet[]", "text[]"),
    ],
)
def test_what_postgresql_alone_can_make_is_staged(
    transaction: sa.Connection, incoming: ColumnType, kind: str, staged: str | None
) -> None:
    encoding = encoding_for(incoming, a_table(transaction, kind))

    assert encoding is not None
    assert (encoding.staged and encoding.staged.unbounded) == staged


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("integer", [2**31 - 1, None], ["2147483647", None]),
        ("smallint", [-(2**15)], ["-32768"]),
        ("bigint", [3.0, None], ["3", None]),
        ("double precision", [2**53], ["9.007199254740992e+15"]),
        ("double precision", [2**62], ["4.611686018427388e+18"]),
        ("double precision", [Decimal("0.5"), Decimal("NaN")], ["0.5", "NaN"]),
        ("real", [2**24], ["1.6777216e+07"]),
        ("real", [0.5, math.inf, math.nan], ["0.5", "Infinity", "NaN"]),
        ("numeric", [0.1, 1e60, 1e-20], ["0.1", f"1{'0' * 60}", f"0.{'0' * 19}1"]),
        ("numeric", [0.0, math.nan, -math.inf], ["0", "NaN", "-Infinity"]),
        ("numeric(10, 2)", [0.1, 1], ["0.10", "1.00"]),
        ("numeric", [2**64], ["18446744073709551616"]),
        ("numeric", [Decimal("0.10"), Decimal("1.5"), None], ["0.10", "1.5", None]),
        ("numeric", [Decimal("-Infinity"), Decimal("NaN")], ["-Infinity", "NaN"]),
        ("numeric", [Decimal(10**40), Decimal("1E-40")], [f"1{'0' * 40}", f"0.{'0' * 39}1"]),
        ("numeric(40, 2)", [Decimal(f"{'9' * 38}.120")], [f"{'9' * 38}.12"]),
        ("numeric(10, 2)", [Decimal("1E+3"), Decimal("0.120")], ["1000.00", "0.12"]),
        ("numeric(4, -2)", [1200, None], ["1200", None]),
        ("varchar(3)", ["abc", "maç", ""], ["abc", "maç", ""]),
        ("char(3)", ["abc"], ["abc"]),
        ("name", ["é" * 31], ["é" * 31]),
        ("timestamptz", [NOON.replace(tzinfo=SAO_PAULO)], ["2024-01-31 15:00:00.000001+00"]),
        ("timestamptz(3)", [NOON.replace(microsecond=1000)], ["2024-01-31 12:00:00.001+00"]),
        ("time(0)", [time(1, 2, 3)], ["01:02:03"]),
        ("timestamp", [date(1, 1, 1), date(9999, 12, 31)], ["0001-01-01 00:00:00", "9999-12-31 00:00:00"]),
        ("interval", [timedelta(days=-3, microseconds=1)], ["-2 days -23:59:59.999999"]),
        ("interval day to second(0)", [timedelta(seconds=5)], ["00:00:05"]),
        ("uuid", [UUID(int=1), None], [ONE, None]),
        ("uuid", [ONE.replace("-", "").upper()], [ONE]),
        ("inet", ["10.0.0.1/8", None], ["10.0.0.1/8", None]),
        ("int4range", ["[1, 3)"], ["[1,3)"]),
        ("money", [Decimal("1.25"), 3], ["$1.25", "$3.00"]),
        ("oid", [5], ["5"]),
        ("bytea", [b"\0", bytearray(b"a"), memoryview(b"b")], ["\\x00", "\\x61", "\\x62"]),
        ("json", ['{"a": 1,  "a": 2}'], ['{"a": 1,  "a": 2}']),
        ("jsonb", ['{"a":1}', "null"], ['{"a": 1}', "null"]),
        ("jsonb", [True, None], ["true", None]),
        ("jsonb", [0.5], ["0.5"]),
        ("date", [None, None], [None, None]),
    ],
)
def test_a_value_that_stays_itself_is_stored(
    transaction: sa.Connection, kind: str, values: Sequence[Any], expected: list[str | None]
) -> None:
    assert stored(transaction, kind, values) == expected


@pytest.mark.parametrize(
    ("kind", "lists", "expected"),
    [
        ("bigint[]", [(1, None), [], None], ["{1,NULL}", "{}", None]),
        ("double precision[]", [[1, None]], ["{1,NULL}"]),
        ("double precision[]", [[1, 0.5, None]], ["{1,0.5,NULL}"]),
        ("numeric[]", [[1, Decimal("0.5")], [Decimal("0.50")]], ["{1,0.5}", "{0.50}"]),
        ("numeric[]", [[Decimal(10**60), Decimal("NaN")], [None]], [f"{{1{'0' * 60},NaN}}", "{NULL}"]),
        ("numeric[]", [[0.1, math.inf]], ["{0.1,Infinity}"]),
        ("numeric(6, 2)[]", [[Decimal("1.5"), Decimal("NaN")]], ["{1.50,NaN}"]),
        ("date[]", [[None], []], ["{NULL}", "{}"]),
        ("text[]", [[None], [], None], ["{NULL}", "{}", None]),
        ("text[]", [["a,b", '"', "NULL", ""]], ['{"a,b","\\"","NULL",""}']),
        ("varchar(3)[]", [["abc", None], []], ["{abc,NULL}", "{}"]),
        ("uuid[]", [[UUID(int=1), None], [], None], [f"{{{ONE},NULL}}", "{}", None]),
        ("uuid[]", [[ONE], None], [f"{{{ONE}}}", None]),
        ("interval[]", [[timedelta(1), None]], ['{"1 day",NULL}']),
        ("timestamptz[]", [[NOON, None], []], ['{"2024-01-31 12:00:00.000001+00",NULL}', "{}"]),
        ("timestamptz[]", [[datetime(1, 1, 1, tzinfo=UTC)]], ['{"0001-01-01 00:00:00+00"}']),
        ("jsonb[]", [['{"a": 1}', "[]"]], ['{"{\\"a\\": 1}",[]}']),
        ("inet[]", [["10.0.0.1", None], []], ["{10.0.0.1,NULL}", "{}"]),
        ("int4range[]", [["[1,3)"]], ['{"[1,3)"}']),
        ("jsonb", [[1, None], []], ["[1, null]", "[]"]),
    ],
)
def test_a_list_that_stays_itself_is_stored(
    transaction: sa.Connection, kind: str, lists: Sequence[Any], expected: list[str | None]
) -> None:
    assert stored(transaction, kind, lists) == expected


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("integer", 2**31, "2147483648 is out of range for INTEGER"),
        ("smallint", -(2**15) - 1, "-32769 is out of range for SMALLINT"),
        ("double precision", 2**53 + 1, "9007199254740993 has more digits than DOUBLE PRECISION"),
        ("real", 2**24 + 1, "16777217 has more digits than REAL"),
        ("bigint", 1.5, "1.5 is not a whole number in the range of BIGINT"),
        ("bigint", math.nan, "nan is not a whole number"),
        ("bigint", math.inf, "inf is not a whole number"),
        ("integer", 1e10, "10000000000.0 is not a whole number in the range of INTEGER"),
        ("numeric(10, 2)", 0.125, r"Decimal\('0.125.*'\) has more than 2 decimal places"),
        ("real", 0.1, "0.1 has more digits than REAL"),
        ("real", 1e300, "has more digits than REAL"),
        ("double precision", Decimal("0.1"), "has more digits than DOUBLE PRECISION"),
        ("double precision", Decimal("sNaN"), "signaling NaN"),
        ("double precision", 10**400, "has more digits than DOUBLE PRECISION"),
        ("numeric(10, 2)", Decimal("0.125"), "has more than 2 decimal places"),
        ("numeric(40, 2)", Decimal(f"{'9' * 38}.125"), "has more than 2 decimal places"),
        ("numeric(4, 2)", Decimal(100), "numeric field overflow"),
        ("numeric(4, -2)", 1250, "has more than -2 decimal places"),
        ("numeric", Decimal("1E-16384"), "has more than 16383 decimal places"),
        ("numeric", Decimal(f"0.{'3' * 16384}"), "has more than 16383 decimal places"),
        ("numeric", Decimal("1E+200000"), "has more than 131072 digits before the decimal point"),
        ("varchar(3)", "abcd", r"'abcd' is too long for the column, which is CHARACTER VARYING\(3\)"),
        ("char(3)", "ab", "'ab' does not have 3 characters"),
        ("name", "é" * 32, "does not fit the column, which is NAME"),
        ("text", "a\0b", "invalid byte sequence"),
        ("time(0)", time(1, 2, 3, 4), r"is finer than TIME\(0\)"),
        ("timestamptz(3)", NOON, r"is finer than TIMESTAMP\(3\)"),
        ("interval(0)", timedelta(microseconds=5), "'00:00:00.000005' would be stored as '00:00:00'"),
        ("interval day", timedelta(hours=30), "would be stored as '1 day'"),
        ("money", Decimal("1.255"), r"'1.255' would be stored as '\$1.26'"),
        ("int4range", "[1,2]", r"'\[1,2\]' would be stored as '\[1,3\)'"),
        ("inet", "here", 'invalid input syntax for type inet: "here"'),
        ("jsonb", '{"a": 1, "a": 2}', "has duplicate keys"),
        ("jsonb", "here", "'here' is not JSON"),
        ("jsonb", "[" * 100_000, "is nested too deep"),
        ("double precision[]", [1, 2**53 + 1], "9007199254740993 has more digits"),
        ("numeric(5, 1)[]", [Decimal("0.25")], "has more than 1 decimal places"),
        ("varchar(3)[]", ["abcd"], "'abcd' is too long"),
        ("smallint[]", [1, 2**15], "32768 is out of range for SMALLINT"),
        ("timestamptz(0)[]", [NOON], r"is finer than TIMESTAMP\(0\)"),
        ("inet[]", ["here"], "invalid input syntax"),
    ],
)
def test_a_value_that_would_change_is_refused_by_its_row(
    transaction: sa.Connection, kind: str, value: object, words: str
) -> None:
    with pytest.raises(UnstorableValueError, match=words) as caught:
        stored(transaction, kind, [None, value])

    assert (caught.value.row, caught.value.column) == (2, "value")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "-03:00"])
def test_lists_of_instants_of_any_zone_are_the_same_instants(transaction: sa.Connection, zone: str) -> None:
    lists = pa.array([[NOON, None]], pa.list_(pa.timestamp("us", zone)))

    assert stored(transaction, "timestamptz[]", lists) == ['{"2024-01-31 12:00:00.000001+00",NULL}']


def test_a_decimal_of_thousands_is_written_out(transaction: sa.Connection) -> None:
    thousands = pa.array([Decimal("12E+3"), None, Decimal(0)], pa.decimal128(5, -3))

    assert stored(transaction, "numeric", thousands) == ["12000", None, "0"]


def test_only_the_lists_of_a_slice_are_written(transaction: sa.Connection) -> None:
    lists = pa.array([[1], [2, None], None, [], [3]], pa.list_(pa.decimal128(5, 0))).slice(1, 3)

    assert stored(transaction, "numeric[]", lists) == ["{2,NULL}", None, "{}"]


def test_a_list_goes_into_no_column_of_scalars(transaction: sa.Connection) -> None:
    with pytest.raises(SchemaDriftError, match=r"column 'value' is BIGINT, but BIGINT\[\] in batch 1"):
        stored(transaction, "bigint", [[1]])


def test_a_type_without_a_column_is_text_to_its_encoding() -> None:
    unheard_of = NativeType("mood", -1, "e", "mood", "mood")

    assert encoding_for(types.BIGINT, unheard_of) is None
    assert encoding_for(types.TEXT, unheard_of) is not None
