"""A decimal on the wire is the number that PostgreSQL stores, with its scale."""

from decimal import Context, Decimal

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from purchase_pipeline.postgres.write.numeric_wire import numeric_wire
from purchase_pipeline_tests.columns import TABLE, a_table

_EXACT = Context(prec=200_000, Emax=999_999, Emin=-999_999)
_RECEIVE = "COPY things FROM STDIN WITH (FORMAT BINARY)"
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)

digits = st.integers(-(10**90), 10**90) | st.integers(-(10**9), 10**9)
decimals = st.builds(
    lambda number, scale: Decimal(number).scaleb(-scale, _EXACT), digits, st.integers(-60, 120)
)


def received(connection: sa.Connection, values: list[Decimal]) -> list[Decimal]:
    """Return what PostgreSQL has, of decimals that go to it by their wire alone."""
    driver = connection.connection.driver_connection
    assert driver is not None
    wires = [numeric_wire(value) for value in values]
    with driver.cursor() as cursor:
        cursor.execute("TRUNCATE things")
        with cursor.copy(_RECEIVE) as copy:
            copy.write(_HEADER)
            for wire in wires:
                copy.write(b"\0\1" + len(wire).to_bytes(4) + wire)
            copy.write(b"\xff\xff")
    return list(connection.scalars(sa.text("SELECT value FROM things ORDER BY ctid")))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(decimals, min_size=1, max_size=20))
@example([Decimal("0.00"), Decimal("-0"), Decimal("0E+5"), Decimal("1E+5")])
@example([Decimal(10) ** power for power in range(-12, 13)])
@example([Decimal("9999.9999"), Decimal(10000), Decimal("0.0001"), Decimal("0.00001"), Decimal(99990000)])
def test_every_decimal_comes_back_equal_with_its_scale(
    transaction: sa.Connection, values: list[Decimal]
) -> None:
    if not sa.inspect(transaction).has_table(TABLE.name):
        a_table(transaction, "numeric")

    found = received(transaction, values)

    assert found == values
    assert [_scale(value) for value in found] == [_scale(value) for value in values]


@pytest.mark.parametrize(
    "value",
    [
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("-Infinity"),
        Decimal("1E+131071"),
        Decimal(f"0.{'0' * 16382}1"),
        Decimal(f"-{'9' * 1000}.{'9' * 1000}"),
    ],
)
def test_what_arrow_has_no_decimal_for_comes_back(transaction: sa.Connection, value: Decimal) -> None:
    a_table(transaction, "numeric")

    assert repr(received(transaction, [value])) == repr([_written_out(value)])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("1E+131072", r"1\.000E\+131072 has more than 131072 digits before the decimal point"),
        ("-2E+999999", "has more than 131072 digits before the decimal point"),
        ("1E-16384", r"1\.000E-16384 has more than 16383 decimal places"),
        ("0E-16384", "has more than 16383 decimal places"),
        (f"1.{'3' * 16384}", "has more than 16383 decimal places"),
    ],
)
def test_more_digits_than_a_numeric_has_are_refused(value: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        numeric_wire(Decimal(value))


def _scale(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return max(-exponent, 0)


def _written_out(value: Decimal) -> Decimal:
    return Decimal(f"{value:f}") if value.is_finite() else value
