"""Values that a column's precision, length, padding or fields would change are rejected with column and row."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import SchemaDriftError, UnstorableValueError
from purchase_pipeline_tests.direct_io import DirectIOManager, Place

THINGS = Place(["things"])
TYPES = """
    CREATE EXTENSION vector;
    CREATE TYPE pair AS (one integer, other text);
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE DOMAIN small AS positive CHECK (VALUE < 100);
    CREATE DOMAIN price AS numeric(4, 2);
    CREATE DOMAIN flag AS bit(3) CHECK (VALUE <> B'000');
"""
MAKERS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "pandas": lambda values: pd.DataFrame({"value": pd.Series(values, dtype="object")}),
    "polars": lambda values: pl.from_arrow(pa.table({"value": values})),
    "pyarrow": lambda values: pa.table({"value": values}),
}

pytestmark = pytest.mark.filterwarnings("ignore:Did not recognize type")


@pytest.fixture
def connection(database_url: str) -> Any:  # noqa: ANN401
    """A connection to a database with custom types."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(TYPES)
        yield connection


def texts(connection: psycopg.Connection[Any]) -> list[str | None]:
    """Return the stored values as PostgreSQL text, without the IO manager."""
    with connection.cursor() as cursor, cursor.copy("COPY (SELECT value FROM things) TO STDOUT") as copy:
        return [row[0] for row in copy.rows()]


LONG = timedelta(days=1, hours=2, minutes=30)
CHANGED = [
    ("numeric(4, 2)", Decimal("1.20"), Decimal("1.234")),
    ("numeric(3, -2)", Decimal(1200), Decimal(1234)),
    ("numeric(2, 4)", Decimal("0.0012"), Decimal("0.00123")),
    ("price", 1.25, 1.125),
    ("numeric(4, 2)[]", [Decimal("1.20")], [Decimal("1.20"), Decimal("1.234")]),
    ("real", 0.5, 0.1),
    ("real[]", [0.5], [0.5, 0.1]),
    ("real", 16777216, 16777217),
    ("double precision", 2**53, 2**53 + 1),
    ("smallint", 32767, 32768),
    ("positive", 1, 0),
    ("small", 99, 100),
    ("small[]", [1, 99], [1, 100]),
    ("varchar(3)", "abc", "abcd"),
    ("varchar(3)", "abc", "abc "),
    ("varchar(3)[]", ["abc"], ["ab", "abc "]),
    ("char(3)", "abc", "ab"),
    ("char(3)[]", ["abc"], ["ab"]),
    ("name", "a" * 63, "é" * 32),
    ('"char"', "x", "xy"),
    ('"char"', "x", "é"),
    ("time(0)", time(1, 2, 3), time(1, 2, 3, 500_000)),
    ("timestamp(3)", datetime(2024, 1, 1, 0, 0, 0, 1000), datetime(2024, 1, 1, 0, 0, 0, 1)),
    ("timestamptz(0)", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 0, 0, 0, 1, UTC)),
    ("timetz(0)", "12:00:00+03", "12:00:00.5+03"),
    ("timetz", "12:00:00.123456+03", "12:00:00.1234567+03"),
    ("interval(0)", LONG, timedelta(microseconds=1)),
    ("interval day", timedelta(2), LONG),
    ("interval day to hour", timedelta(hours=2), LONG),
    ("interval(0)[]", [LONG], [LONG, timedelta(microseconds=1)]),
    ("money", Decimal("1.25"), Decimal("1.255")),
    ("bit(3)", "101", "1010"),
    ("bit(3)", "101", "1"),
    ("varbit(3)", "101", "1010"),
    ("flag", "101", "000"),
    ("vector(2)", "[1,2]", "[0.10000000149,2]"),
    ("pair", "(1,a)", "(x,a)"),
    ("int4range", "[1,5)", "[1,5]"),
    ("point", "(1,2)", "(1,0.1000000000000000055)"),
    ("jsonb", '{"a": 1}', '{"a": 1, "a": 2}'),
]


@pytest.mark.parametrize(("column", "kept", "changed"), CHANGED)
def test_a_value_that_its_column_would_change_is_refused_and_the_old_rows_stay(
    database_url: str, connection: psycopg.Connection[Any], column: str, kept: object, changed: object
) -> None:
    manager = DirectIOManager(database_url)
    connection.execute(f"CREATE TABLE things (value {column})")
    for library, frame_of in MAKERS.items():
        manager.write(THINGS, frame_of([kept, None]))
        before = texts(connection)

        with pytest.raises(UnstorableValueError) as caught:
            manager.write(THINGS, frame_of([kept, None, changed]))

        assert (caught.value.column, caught.value.row) == ("value", 3), library
        assert len(before) == 2
        assert texts(connection) == before


QUERIES = [
    ("numeric(4, 2)", "numeric", "1.234"),
    ("numeric(4, 2)", "double precision", "0.125"),
    ("price", "numeric", "1.234"),
    ("real", "numeric", "0.1"),
    ("double precision", "numeric", "0.1"),
    ("double precision", "numeric", "12345678901234567.5"),
    ("double precision", "bigint", "9007199254740993"),
    ("real", "double precision", "0.1"),
    ("smallint", "bigint", "32768"),
    ("integer", "double precision", "1.5"),
    ("positive", "integer", "0"),
    ("small", "positive", "100"),
    ("varchar(3)", "text", "abcd"),
    ("varchar(3)", "varchar", "abc "),
    ("char(3)", "text", "ab"),
    ("name", "text", "a" * 64),
    ('"char"', "text", "xy"),
    ("time(0)", "time", "01:02:03.5"),
    ("timestamp(3)", "timestamp", "2024-01-01 00:00:00.000001"),
    ("timestamptz(0)", "timestamptz", "2024-01-01 00:00:00.5+00"),
    ("interval day", "interval", "1 day 02:00:00"),
    ("money", "numeric", "1.255"),
    ("timetz(0)", "timetz", "12:00:00.5+03"),
    ("numeric(4, 2)[]", "numeric[]", "{1.5,1.234}"),
]


@pytest.mark.parametrize(("column", "source", "value"), QUERIES)
def test_a_query_may_change_no_more_than_a_frame_does(
    database_url: str, connection: psycopg.Connection[Any], column: str, source: str, value: str
) -> None:
    connection.execute(f"CREATE TABLE things (value {column})")
    connection.execute("INSERT INTO things VALUES (NULL)")
    connection.execute(f"CREATE TABLE source (value {source})")
    connection.execute(f"INSERT INTO source VALUES (NULL), (%s::text::{source})", [value])  # noqa: S608  # the test's own SQL
    query: sa.Select[Any] = sa.select(sa.column("value")).select_from(sa.table("source"))

    with pytest.raises(UnstorableValueError) as caught:
        DirectIOManager(database_url).write(THINGS, query)

    assert (caught.value.column, caught.value.row) == ("value", 2)
    assert texts(connection) == [None]


@pytest.mark.parametrize(
    ("column", "source", "value"),
    [
        ("double precision", "numeric", "0.5"),
        ("double precision", "numeric", "NaN"),
        ("real", "numeric", "-16777216"),
        ("double precision", "numeric", "0.0001220703125"),
        ("numeric(4, 2)", "double precision", "0.1"),
        ("char(3)", "text", "abc"),
        ("small", "integer", "99"),
        ("varchar(3)", "text", "abc"),
    ],
)
def test_a_query_whose_values_stay_as_they_are_is_stored_missing_values_too(
    database_url: str, connection: psycopg.Connection[Any], column: str, source: str, value: str
) -> None:
    connection.execute(f"CREATE TABLE things (value {column})")
    connection.execute(f"CREATE TABLE source (value {source})")
    connection.execute(f"INSERT INTO source VALUES (NULL), (%s::text::{source})", [value])  # noqa: S608  # the test's own SQL
    query: sa.Select[Any] = sa.select(sa.column("value")).select_from(sa.table("source"))

    DirectIOManager(database_url).write(THINGS, query)

    stored = connection.execute("SELECT value::text FROM things ORDER BY value NULLS FIRST").fetchall()
    assert len(stored) == 2
    assert stored[0] == (None,)


@pytest.mark.parametrize(
    ("column", "frame", "expected"),
    [
        ("positive", pd.DataFrame({"value": [5]}), "5"),
        ("vector(2)", pl.DataFrame({"value": [[1.0, 2.5]]}), "[1,2.5]"),
        ("vector(2)", pd.DataFrame({"value": ["[1,2.5]"]}), "[1,2.5]"),
        ("point", pd.DataFrame({"value": ["(1,2)"]}), "(1,2)"),
        ("pair", pd.DataFrame({"value": ["(1,a)"]}), "(1,a)"),
        ("pair[]", pd.DataFrame({"value": [["(1,a)"]]}), '{"(1,a)"}'),
        ("inet", pd.DataFrame({"value": ["1.2.3.4"]}), "1.2.3.4"),
        ("inet[]", pl.DataFrame({"value": [["1.2.3.4"]]}), "{1.2.3.4}"),
        ("int4range", pd.DataFrame({"value": ["[1,5)"]}), "[1,5)"),
        (
            "uuid",
            pl.DataFrame({"value": ["12345678123456781234567812345678"]}),
            "12345678-1234-5678-1234-567812345678",
        ),
        ("bigint", pl.LazyFrame({"value": [1]}), "1"),
        ("bigint", pa.record_batch({"value": pa.array([1], pa.int8())}), "1"),
        ("jsonb", pd.DataFrame({"value": [np.array([[1, 2], [3, 4]])]}), "[[1, 2], [3, 4]]"),
    ],
)
def test_what_a_column_of_any_type_can_hold_is_stored(
    database_url: str, connection: psycopg.Connection[Any], column: str, frame: object, expected: str
) -> None:
    connection.execute(f"CREATE TABLE things (value {column})")

    DirectIOManager(database_url).write(THINGS, frame)

    assert texts(connection) == [expected]


def test_a_lazy_frame_and_a_record_batch_are_read_as_such(database_url: str) -> None:
    manager = DirectIOManager(database_url)
    manager.write(THINGS, pl.LazyFrame({"value": [1, 2]}))

    lazy = manager.read_as(pl.LazyFrame, THINGS)
    batch = manager.read_as(pa.RecordBatch, THINGS)

    assert lazy.collect().rows() == [(1,), (2,)]
    assert batch.to_pydict() == {"value": [1, 2]}


def test_a_type_that_the_server_was_built_without_is_an_error_with_its_column(
    database_url: str, connection: psycopg.Connection[Any]
) -> None:
    connection.execute("CREATE TABLE things (value xml)")
    try:
        connection.execute("SELECT '<a/>'::xml")
    except psycopg.NotSupportedError:
        with pytest.raises(UnstorableValueError, match="column 'value': unsupported XML feature"):
            DirectIOManager(database_url).write(THINGS, pd.DataFrame({"value": ["<a/>"]}))
    else:
        DirectIOManager(database_url).write(THINGS, pd.DataFrame({"value": ["<a/>"]}))
        assert texts(connection) == ["<a/>"]


@pytest.mark.parametrize("text", ["a & & b", "(a"])
def test_a_text_that_a_type_reads_by_a_grammar_of_its_own_is_refused_by_row(
    database_url: str, connection: psycopg.Connection[Any], text: str
) -> None:
    connection.execute("CREATE TABLE things (value tsquery)")

    with pytest.raises(UnstorableValueError, match="row 2, column 'value': "):
        DirectIOManager(database_url).write(THINGS, pd.DataFrame({"value": ["'a' & 'b'", text]}))


@pytest.mark.parametrize(
    "expression",
    ["'(1,2)'::point", "'[1,5)'::int4range", "B'101'::varbit", "'1.2.3.4'::inet", "'{1.2.3.4}'::inet[]"],
)
def test_a_query_makes_a_column_of_the_type_that_it_has(
    database_url: str, connection: psycopg.Connection[Any], expression: str
) -> None:
    query: sa.Select[Any] = sa.select(sa.literal_column(expression).label("value"))

    DirectIOManager(database_url).write(THINGS, query)

    same = f"SELECT pg_typeof(value) = pg_typeof({expression}) FROM things"  # noqa: S608  # the test's own SQL
    assert connection.execute(same).fetchone() == (True,)


def test_a_query_of_another_type_is_refused_by_the_name_of_its_type(
    database_url: str, connection: psycopg.Connection[Any]
) -> None:
    connection.execute("CREATE TABLE things (value bigint)")
    query: sa.Select[Any] = sa.select(sa.literal_column("'(1,2)'::point").label("value"))

    with pytest.raises(
        SchemaDriftError, match="column 'value' is BIGINT in the table, but point in the data"
    ):
        DirectIOManager(database_url).write(THINGS, query)


@pytest.mark.parametrize(
    ("column", "values"), [("point", ["(1,2)", "\0"]), ("inet[]", [["1.2.3.4"], ["\0"]])]
)
def test_a_value_that_cannot_even_be_staged_is_refused_by_its_own_table(
    database_url: str, connection: psycopg.Connection[Any], column: str, values: list[Any]
) -> None:
    connection.execute(f"CREATE TABLE things (value {column})")

    with pytest.raises(UnstorableValueError, match=r"^table public\.things, row 2, column 'value': "):
        DirectIOManager(database_url).write(THINGS, pl.DataFrame({"value": values}))
