"""COPY: rows of strings are joined, others adapted value by value, batches are binary; the result is the same."""

import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import product
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from purchase_pipeline.postgres import UnstorableValueError
from purchase_pipeline.postgres.write.copy import copy_batches, copy_rows, text_format
from purchase_pipeline_tests.hostile import ACCEPTED

TEXTS = (
    "a",
    "",
    " ",
    "\\N",
    "\\.",
    "\\",
    "\t",
    "\n",
    "\r\n",
    "\b\v\f",
    "x\ty",
    "x\\",
    "é",
    "名",
    "😀",
    "None",
)
PURCHASES = sa.Table(
    "purchases",
    sa.MetaData(),
    sa.Column("one", sa.Text),
    sa.Column("two", sa.Text),
)


@pytest.fixture
def connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction with an empty table of two TEXT columns."""
    with engine.connect() as connection:
        PURCHASES.create(connection)
        yield connection


def copied(connection: sa.Connection, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Copy rows into the empty table; return its rows in insertion order, and empty it again."""
    written = copy_rows(connection, PURCHASES, ["one", "two"], iter(rows))
    assert written.rows == len(rows)
    there = [tuple(row) for row in connection.execute(sa.select(PURCHASES))]
    connection.execute(sa.text("TRUNCATE purchases"))
    return there


def test_any_two_texts_come_back_as_they_went(connection: sa.Connection) -> None:
    rows = list(product(TEXTS, TEXTS))

    assert copied(connection, rows) == rows


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(*[st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=9)] * 2)
    )
)
def test_whatever_texts_come_back_as_they_went(
    connection: sa.Connection, rows: list[tuple[str, str]]
) -> None:
    assert copied(connection, rows) == rows


@pytest.mark.parametrize("place", [0, 1, 199, 200, 201, 999])
def test_rows_of_texts_and_others_keep_their_order(connection: sa.Connection, place: int) -> None:
    rows: list[tuple[Any, Any]] = [(str(number), "a\tb") for number in range(1_000)]
    rows[place] = (None, Decimal("1.50"))

    there = copied(connection, rows)

    assert there[place] == (None, "1.50")
    assert there == [row if at != place else (None, "1.50") for at, row in enumerate(rows)]


@pytest.mark.parametrize("place", [0, 1, 199, 200, 999])
@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        (("\ud800", "b"), "one", "surrogates not allowed"),
        (("a", "b\x00"), None, 'invalid byte sequence for encoding "UTF8": 0x00'),
        (("a",), None, 'missing data for column "two"'),
        (("a", "b", "c"), None, "extra data after last expected column"),
        (("a", object()), "two", "cannot adapt type 'object'"),
    ],
)
def test_a_row_that_cannot_be_written_is_named(
    connection: sa.Connection, place: int, row: Sequence[Any], column: str | None, reason: str
) -> None:
    rows: list[Sequence[Any]] = [("a", "b")] * 1_000
    rows[place] = row

    with pytest.raises(UnstorableValueError) as caught:
        copied(connection, rows)

    assert reason in str(caught.value)
    assert (caught.value.row, caught.value.column) == (place + 1, column)


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_what_postgresql_says_of_a_value_stays_in_one_line(connection: sa.Connection, text: str) -> None:
    connection.execute(sa.text("ALTER TABLE purchases ALTER COLUMN two TYPE integer USING 1"))

    with pytest.raises(UnstorableValueError) as caught:
        copied(connection, [("a", text)])

    assert caught.value.column == "two"
    assert str(caught.value).isprintable()


def test_long_texts_are_not_gathered(connection: sa.Connection) -> None:
    rows = ((str(number), "x" * 1_000_000) for number in range(100))
    tracemalloc.start()
    try:
        written = copy_rows(connection, PURCHASES, ["one", "two"], rows)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert written.rows == 100
    assert most < 15_000_000


@pytest.mark.parametrize(
    "row",
    [
        ("a", None),
        ("a", 1),
        ("a", b"b"),
        ("a", date(2024, 1, 2)),
        ("a",),
        ("a\tb",),
        ("a", "b", "c"),
        ("a", "\ud800"),
    ],
)
def test_only_rows_of_so_many_texts_are_joined(row: Sequence[Any]) -> None:
    assert text_format([("a", "b"), ("c", "d")], 2, "utf-8") == b"a\tb\nc\td\n"
    assert text_format([("a", "b"), row, ("c", "d")], 2, "utf-8") is None


def test_batches_are_written_in_binary_in_their_order(connection: sa.Connection) -> None:
    batches = [
        pa.record_batch({"two": pa.array(["b", None, ""]), "one": pa.array(["\\N", "é\t", "\0x"[1:]])}),
        pa.record_batch({"two": pa.array([], pa.string()), "one": pa.array([], pa.string())}),
        pa.record_batch({"two": pa.array(["d"]), "one": pa.array(["c"])}),
    ]

    written = copy_batches(connection, PURCHASES, ["two", "one"], iter(batches))

    there = [tuple(row) for row in connection.execute(sa.select(PURCHASES))]
    assert there == [("\\N", "b"), ("é\t", None), ("x", ""), ("c", "d")]
    assert written.rows == 4
    fields = sum(len(text.encode()) for row in there for text in row if text is not None)
    assert written.bytes == 19 + 4 * (2 + 2 * 4) + fields + 2


def test_no_batch_is_no_row(connection: sa.Connection) -> None:
    written = copy_batches(connection, PURCHASES, ["one", "two"], iter([]))

    assert (written.rows, written.bytes) == (0, 21)


@pytest.mark.parametrize("place", [0, 1, 4_999, 9_999])
def test_a_value_of_a_batch_that_postgresql_refuses_is_named(connection: sa.Connection, place: int) -> None:
    texts = ["a"] * 10_000
    texts[place] = "a\0b"
    whole = pa.table({"one": texts, "two": texts})

    with pytest.raises(UnstorableValueError, match="invalid byte sequence") as caught:
        copy_batches(connection, PURCHASES, ["one", "two"], whole.to_batches(max_chunksize=3_000))

    assert (caught.value.row, caught.value.column) == (place + 1, "one")


@pytest.mark.parametrize("place", [1, 2])
def test_a_row_that_a_constraint_refuses_is_named(connection: sa.Connection, place: int) -> None:
    connection.execute(sa.text("ALTER TABLE purchases ALTER COLUMN two SET NOT NULL"))
    twos: list[str | None] = ["a", "b", "c"]
    twos[place] = None

    with pytest.raises(UnstorableValueError, match="violates not-null constraint") as caught:
        copy_batches(
            connection, PURCHASES, ["one", "two"], [pa.record_batch({"one": ["a"] * 3, "two": twos})]
        )

    assert (caught.value.row, caught.value.column) == (place + 1, "two")
