"""Cast values are compared with the originals: a changed value is rejected with its row."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import UnstorableValueError
from purchase_pipeline_tests.columns import stored

_TYPES = """
    CREATE SCHEMA other;
    CREATE DOMAIN whole AS integer CHECK (value > 0);
    CREATE DOMAIN small_whole AS whole CHECK (value < 1000);
    CREATE DOMAIN code AS varchar(3);
    CREATE DOMAIN price AS numeric(6, 2);
    CREATE TYPE mood AS ENUM ('calm', 'a, b');
    CREATE TYPE other.mood AS ENUM ('wild');
"""


@pytest.fixture
def connection(transaction: sa.Connection) -> sa.Connection:
    """A transaction with custom types."""
    transaction.exec_driver_sql(_TYPES)
    return transaction


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("whole", [1, None], ["1", None]),
        ("whole[]", [[1, 2, None], [], None], ["{1,2,NULL}", "{}", None]),
        ("small_whole[]", [[999]], ["{999}"]),
        ("code[]", [["abc", "a,b"]], ['{abc,"a,b"}']),
        ("price[]", [[Decimal("1.25"), Decimal("NaN")]], ["{1.25,NaN}"]),
        ("mood", ["calm", None], ["calm", None]),
        ("mood[]", [["a, b", None], []], ['{"a, b",NULL}', "{}"]),
        ("other.mood", ["wild"], ["wild"]),
        ("other.mood[]", [["wild"]], ["{wild}"]),
        ("whole[]", [[None], []], ["{NULL}", "{}"]),
        ("mood", [None], [None]),
        ("inet", ["10.0.0.1", "10.0.0.1/8", "::1"], ["10.0.0.1/32", "10.0.0.1/8", "::1/128"]),
        ("cidr[]", [["10.0.0.0/8"], None], ["{10.0.0.0/8}", None]),
        ("macaddr", ["08-00-2B-01-02-03"], ["08:00:2b:01:02:03"]),
        ("bit(3)", ["101"], ["101"]),
        ("point", ["(1,2)"], ["(1,2)"]),
        ("timetz", ["01:00:00+00"], ["01:00:00+00"]),
        ("tsvector", ["'a' 'b'"], ["'a' 'b'"]),
        ("interval(0)", [timedelta(seconds=1)], ["00:00:01"]),
    ],
)
def test_a_value_that_its_cast_keeps_is_stored(
    connection: sa.Connection, kind: str, values: Sequence[Any], expected: list[str | None]
) -> None:
    assert stored(connection, kind, values) == expected


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("whole[]", [0], 'violates check constraint "whole_check"'),
        ("small_whole[]", [1000], 'violates check constraint "small_whole_check"'),
        ("whole[]", [2**31], "out of range"),
        ("code[]", ["abcd"], r"'\{abcd\}' would be stored as '\{abc\}' in the column, which is code\[\]"),
        (
            "price[]",
            [Decimal("1.255")],
            r"'\{1.255\}' would be stored as '\{1.26\}' in the column, which is price\[\]",
        ),
        ("mood[]", ["wild"], 'invalid input value for enum mood: "wild"'),
        ("other.mood[]", ["calm"], 'invalid input value for enum other.mood: "calm"'),
        ("cidr", "10.0.0.1/8", "invalid cidr value"),
        ("cidr[]", ["10.0.0.1/8"], "invalid cidr value"),
        ("bit(3)", "1", "'1' would be stored as '100' in the column, which is BIT"),
        ("bit(3)[]", ["1"], r"'\{1\}' would be stored as '\{100\}'"),
        ("tsvector", "b a", "'b a' would be stored as"),
        ("interval(0)[]", [timedelta(microseconds=1)], "would be stored as"),
        ("money", Decimal("0.001"), r"'0.001' would be stored as '\$0.00'"),
    ],
)
def test_a_value_that_its_cast_changes_is_refused_by_its_row(
    connection: sa.Connection, kind: str, value: object, words: str
) -> None:
    with pytest.raises(UnstorableValueError, match=words) as caught:
        stored(connection, kind, [None, None, value, None])

    assert (caught.value.row, caught.value.column) == (3, "value")


def test_what_cannot_be_cast_leaves_the_transaction_usable(connection: sa.Connection) -> None:
    with pytest.raises(UnstorableValueError, match="invalid input syntax"):
        stored(connection, "inet", ["here"])

    assert connection.scalar(sa.text("SELECT count(*) FROM things")) == 0
