"""Values are read exactly as stored, or rejected with their column."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pytest

from purchase_pipeline.postgres import RowStream
from purchase_pipeline.postgres.errors import UnfinishedReadError, UnreadableValueError
from purchase_pipeline_tests.direct_io import DirectIOManager, Place

THINGS = Place(["things"])
READERS: dict[type, Callable[[Any], list[Any]]] = {
    pd.DataFrame: lambda frame: list(frame["value"]),
    pl.DataFrame: lambda frame: frame["value"].to_list(),
    pa.Table: lambda table: table["value"].to_pylist(),
    pa.RecordBatchReader: lambda reader: reader.read_all()["value"].to_pylist(),
    RowStream: lambda stream: [value for rows in stream.batches for (value,) in rows],
}
TYPES = """
    CREATE TYPE colour AS ENUM ('red', 'green');
    CREATE TYPE pair AS (one integer, other text);
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE DOMAIN tags AS text[];
"""

pytestmark = pytest.mark.filterwarnings("ignore:Did not recognize type")


def stored(database_url: str, column: str, *values: str | None) -> DirectIOManager:
    """Store values, given as PostgreSQL text, in a table of one column."""
    with psycopg.connect(database_url) as connection:
        connection.execute(TYPES)
        connection.execute(f"CREATE TABLE things (value {column})")
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO things VALUES (%s::text::{column})", [(one,) for one in values])  # noqa: S608  # the test's own SQL
    return DirectIOManager(database_url)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("colour[]", ["{red,NULL,green}", None, "{}"], [["red", None, "green"], None, []]),
        ("positive[]", ["{1,2}"], [[1, 2]]),
        ("pair[]", ['{"(1,a)",NULL}'], [["(1,a)", None]]),
        ("tags", ['{a,"b c"}'], [["a", "b c"]]),
        ("char(3)[]", ["{ab,abc,NULL}"], [["ab ", "abc", None]]),
        ("char(3)", ["ab"], ["ab "]),
        ("inet[]", ["{1.2.3.4,10.0.0.0/8}"], [["1.2.3.4", "10.0.0.0/8"]]),
        ("inet", ["1.2.3.4", "::1"], ["1.2.3.4", "::1"]),
        ("interval", ["1 day 2 hours", "-00:00:01"], [timedelta(1, 7200), timedelta(seconds=-1)]),
        ("interval[]", ["{1 day,NULL}"], [[timedelta(1), None]]),
        ("real", ["0.1"], [0.10000000149011612]),
        ("int4range", ["[1,5)"], ["[1,5)"]),
        ("point", ["(1,2)"], ["(1,2)"]),
        ("timetz", ["12:00:00.5+03"], ["12:00:00.5+03"]),
        ("bit(3)[]", ["{101}"], [["101"]]),
        ("jsonb[]", ['{"{\\"a\\": 1}"}'], [['{"a": 1}']]),
    ],
)
def test_a_column_of_any_type_is_read_as_it_is(
    database_url: str, column: str, values: list[str | None], expected: list[Any]
) -> None:
    manager = stored(database_url, column, *values)

    assert [values_of(manager.read_as(kind, THINGS)) for kind, values_of in READERS.items()] == [expected] * 5


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("date", ["2024-01-01", "infinity"], "row 2, column 'value': "),
        ("date", ["0044-03-15 BC"], "row 1, column 'value': "),
        ("date", ["10000-01-01"], "row 1, column 'value': "),
        ("timestamp", ["-infinity"], "row 1, column 'value': "),
        ("timestamptz", ["2024-01-01", None, "294276-01-01"], "row 3, column 'value': "),
        ("date[]", [None, "{2024-01-01,2024-01-02}", "{2024-01-01,infinity}"], "row 3, column 'value': "),
        ("timestamptz[]", ["{2024-01-01,2024-01-02}", "{NULL,-infinity}"], "row 2, column 'value': "),
        ("time", ["24:00"], "row 1, column 'value': 24:00 is not a valid time"),
        ("interval", ["1 day", "1 mon"], "column 'value' cannot be read exactly: 1 mon$"),
        ("interval", ["infinity"], "column 'value' cannot be read exactly: infinity$"),
        ("interval", ["200000000 days"], "column 'value' cannot be read exactly: 200000000 days$"),
        ("interval[]", ["{1 day,1 year}"], "column 'value' cannot be read exactly: 1 year$"),
        ("integer[]", ["{{1,2},{3,4}}"], r"column 'value' cannot be read exactly: \{\{1,2\},\{3,4\}\}$"),
        ("integer[]", ["[0:1]={1,2}"], r"column 'value' cannot be read exactly: \[0:1\]=\{1,2\}$"),
        ("colour[]", ["{{red}}"], r"column 'value' cannot be read exactly: \{\{red\}\}$"),
    ],
)
def test_a_value_without_an_exact_form_is_refused_by_its_column(
    database_url: str, column: str, values: list[str | None], words: str
) -> None:
    manager = stored(database_url, column, *values)

    for kind, values_of in READERS.items():
        with pytest.raises(UnreadableValueError, match=f"table public.things, {words}"):
            values_of(manager.read_as(kind, THINGS))


def test_a_value_far_into_a_stream_is_refused_by_its_column(database_url: str) -> None:
    manager = stored(database_url, "interval", "1 day")
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO things SELECT CASE number WHEN 400000 THEN '1 mon' ELSE '1 day' END::interval "
            "FROM generate_series(1, 400000) AS number"
        )

    with pytest.raises(UnreadableValueError, match="column 'value' cannot be read exactly: 1 mon"):
        READERS[RowStream](manager.read_as(RowStream, THINGS))


@pytest.mark.parametrize("column", ["numeric", "numeric(6, 2)", "numeric[]"])
def test_numeric_without_a_number_is_text_where_a_library_has_no_such_decimal(
    database_url: str, column: str
) -> None:
    array = column.endswith("[]")
    manager = stored(database_url, column, "{NaN,1.50}" if array else "NaN")

    rows = READERS[RowStream](manager.read_as(RowStream, THINGS))
    texts = READERS[pl.DataFrame](manager.read_as(pl.DataFrame, THINGS))

    assert str(rows) == str([[Decimal("NaN"), Decimal("1.50")]] if array else [Decimal("NaN")])
    assert texts == ([["NaN", "1.50"]] if array else ["NaN"])


@pytest.mark.parametrize("of", ["DATABASE", "ROLE"])
def test_values_read_the_same_whatever_role_and_database_set(database_url: str, of: str) -> None:
    manager = stored(database_url, "interval", "1 day 02:00:00")
    settings = {
        "DateStyle": "SQL, DMY",
        "IntervalStyle": "iso_8601",
        "TimeZone": "Asia/Tokyo",
        "extra_float_digits": "-15",
        "bytea_output": "escape",
    }
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "ALTER TABLE things ADD number double precision DEFAULT 0.1, ADD bytes bytea DEFAULT '\\x00ff', "
            "ADD at timestamptz DEFAULT '2024-01-02 00:00+00', ADD span tstzrange DEFAULT '[2024-01-02 00:00+00,)', "
            "ADD days date[] DEFAULT '{2024-01-02}', ADD bytes_too bytea[] DEFAULT '{\"\\\\x00ff\"}'"
        )
        before = manager.read_as(pa.Table, THINGS)
        name = {
            "DATABASE": connection.info.dbname,
            "ROLE": f"{connection.info.user} IN DATABASE {connection.info.dbname}",
        }[of]
        for setting, value in settings.items():
            connection.execute(f"ALTER {of} {name} SET {setting} = '{value}'")

    after = DirectIOManager(database_url).read_as(pa.Table, THINGS)

    assert after.to_pylist() == before.to_pylist()
    assert after["number"].to_pylist() == [0.1]
    assert after["span"].to_pylist() == ['["2024-01-02 00:00:00+00",)']


@pytest.mark.timeout(60)
def test_a_reader_that_is_let_go_midway_closes_its_connection(database_url: str) -> None:
    manager = stored(database_url, "text")
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%'"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO things SELECT repeat('x', 100) FROM generate_series(1, 200000)")
        batches = iter(manager.read_as(RowStream, THINGS).batches)
        next(batches)
        during = connection.execute(others).fetchone()

        del batches

        while connection.execute(others).fetchone() != (0,):
            pass
    assert during == (1,)


def test_a_lost_connection_is_distinguished_from_an_unreadable_value(database_url: str) -> None:
    manager = stored(database_url, "text")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO things SELECT repeat('x', 100) FROM generate_series(1, 400000)")
        batches = iter(manager.read_as(RowStream, THINGS).batches)
        next(batches)
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE 'COPY%'"
        )

        with pytest.raises(
            UnfinishedReadError, match=r"Reading table public.things ended early: .*closed the connection"
        ):
            list(batches)

        assert len(READERS[pa.Table](manager.read_as(pa.Table, THINGS))) == 400_000
