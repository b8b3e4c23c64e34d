"""Every column is read unchanged, or rejected by name."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import polars as pl
import pyarrow as pa
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import Batches
from purchase_pipeline.postgres.errors import UnreadableValueError
from purchase_pipeline.postgres.frames.adbc import read_batches
from purchase_pipeline.postgres.frames.loading import load_query
from purchase_pipeline_tests.as_read import as_read

LONG = "9" * 39
ONE = "00000000-0000-0000-0000-000000000001"


@pytest.fixture(scope="module")
def connection(server_url: str) -> Iterator[sa.Connection]:
    """A committed schema, because reads use their own connection; dropped after the tests."""
    engine = sa.create_engine(sa.make_url(server_url).set(drivername="postgresql+psycopg"))
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    connection.exec_driver_sql("CREATE SCHEMA readable")
    connection.exec_driver_sql("CREATE DOMAIN readable.price AS numeric(6, 2)")
    connection.exec_driver_sql("CREATE TYPE readable.mood AS ENUM ('calm')")
    try:
        yield connection
    finally:
        connection.exec_driver_sql("DROP SCHEMA readable CASCADE")
        connection.close()
        engine.dispose()


def a_column(connection: sa.Connection, kind: str, *values: str | None) -> sa.Table:
    """Return a table with these values, given as PostgreSQL text, in column `value`."""
    connection.exec_driver_sql("DROP TABLE IF EXISTS readable.things")
    connection.exec_driver_sql(f"CREATE TABLE readable.things (place serial, value {kind})")
    for value in values:
        connection.exec_driver_sql(
            f"INSERT INTO readable.things (value) VALUES (CAST(%s AS {kind}))",  # noqa: S608  # a type
            (value,),
        )
    return sa.Table("things", sa.MetaData(), sa.Column("place"), sa.Column("value"), schema="readable")


def read(connection: sa.Connection, table: sa.Table, kind: Any) -> Any:  # noqa: ANN401
    """Return the column as a frame or stream of that class."""
    return load_query(kind, connection, table, sa.select(table.c.value).order_by(table.c.place), iter)


@pytest.mark.parametrize(
    ("kind", "texts", "expected"),
    [
        ("boolean", ["t"], [True]),
        ("smallint", ["-32768"], [-(2**15)]),
        ("real", ["0.5", "NaN"], [0.5, float("nan")]),
        (
            "numeric",
            ["1.5", "1.25", "NaN", "-Infinity"],
            [*map(Decimal, ("1.5", "1.25", "NaN", "-Infinity"))],
        ),
        ("numeric", [LONG, "0.10"], [Decimal(LONG), Decimal("0.10")]),
        ("numeric(10, 2)", ["1.5", "NaN"], [Decimal("1.50"), Decimal("NaN")]),
        ("readable.price", ["1.5"], [Decimal("1.50")]),
        ("money", ["1.25"], [Decimal("1.25")]),
        ("varchar(3)", ["abc"], ["abc"]),
        ("char(3)", ["a"], ["a  "]),
        ("readable.mood", ["calm"], ["calm"]),
        ("bytea", ["\\x00ff"], [b"\0\xff"]),
        ("date", ["0001-01-01", "9999-12-31"], [date(1, 1, 1), date(9999, 12, 31)]),
        ("time", ["23:59:59.999999"], [time(23, 59, 59, 999_999)]),
        ("timestamp", ["0001-01-01"], [datetime(1, 1, 1)]),
        ("timestamptz", ["2024-01-31 12:00-03"], [datetime(2024, 1, 31, 15, tzinfo=UTC)]),
        ("interval", ["-1 day +5 seconds", "25 hours"], [timedelta(-1, 5), timedelta(hours=25)]),
        ("uuid", [ONE], [UUID(int=1)]),
        ("jsonb", ['{"a": [1, 0.5]}'], [{"a": [1, 0.5]}]),
        ("json", ['{"a": 1, "a": 2}', "{}"], ['{"a": 1, "a": 2}', "{}"]),
        ("inet", ["10.0.0.1/8"], ["10.0.0.1/8"]),
        ("int4range", ["[1,3)"], ["[1,3)"]),
        ("integer[]", ["{1,NULL}", "{}"], [[1, None], []]),
        ("text[]", ['{"a,b",""}'], [["a,b", ""]]),
        ("numeric[]", [f"{{{LONG},NaN}}", "{0.10}"], [[Decimal(LONG), Decimal("NaN")], [Decimal("0.10")]]),
        ("numeric(6, 2)[]", ["{1.5}"], [[Decimal("1.50")]]),
        ("uuid[]", [f"{{{ONE},NULL}}"], [[UUID(int=1), None]]),
        ("interval[]", ["{1 day,NULL,-00:00:01}", "{}"], [[timedelta(1), None, timedelta(seconds=-1)], []]),
        ("timestamptz[]", ["{2024-01-31 12:00+00}"], [[datetime(2024, 1, 31, 12, tzinfo=UTC)]]),
        ("readable.price[]", ["{1.5}"], [[Decimal("1.50")]]),
        ("readable.mood[]", ["{calm}"], [["calm"]]),
        ("inet[]", ["{10.0.0.1/8}"], [["10.0.0.1/8"]]),
    ],
)
def test_a_value_is_read_as_what_it_means(
    connection: sa.Connection, kind: str, texts: list[str], expected: list[Any]
) -> None:
    table = a_column(connection, kind, *texts, None)

    found = [
        row["value"] for batch in read(connection, table, Batches[list[dict[str, Any]]]) for row in batch
    ]

    assert repr(found) == repr([*expected, None]).replace(
        "datetime.timezone.utc", "zoneinfo.ZoneInfo(key='UTC')"
    )


@pytest.mark.parametrize("kind", [pa.Table, pl.DataFrame])
@pytest.mark.parametrize(
    ("texts", "column"),
    [
        ([LONG], "numeric"),
        (["1" + "0" * 60, "0.5"], "numeric"),
        (["-" + "9" * 76], "numeric"),
        (["1" + "0" * 200], "numeric"),
        (["0." + "0" * 60 + "1"], "numeric"),
        ([LONG, "12." + "3" * 40], "numeric(90, 40)"),
    ],
)
def test_a_number_of_many_digits_is_that_number(
    connection: sa.Connection, kind: type, texts: list[str], column: str
) -> None:
    table = a_column(connection, column, *texts)

    values = read(connection, table, kind)["value"]

    found = values.to_pylist() if kind is pa.Table else values.to_list()
    assert [Decimal(value) for value in found] == [Decimal(text) for text in texts]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("interval", "1 month"),
        ("interval", "-1 year 2 days"),
        ("interval[]", "{1 day,1 month}"),
        ("integer[]", "{{1},{2}}"),
        ("integer[]", "[0:1]={1,2}"),
        ("uuid[]", f"{{{{{ONE}}}}}"),
        ("interval[]", "{{1 day}}"),
        ("date", "infinity"),
        ("date", "0001-01-01 BC"),
        ("timestamp", "-infinity"),
        ("timestamptz", "20000-01-01 00:00+00"),
        ("date[]", "{2024-01-01,infinity}"),
        ("time", "24:00"),
    ],
)
def test_a_value_without_an_exact_form_is_refused_by_its_column(
    connection: sa.Connection, kind: str, text: str
) -> None:
    table = a_column(connection, kind, None, text)

    with pytest.raises(UnreadableValueError, match=r"table readable\.things.*, column 'value'.*[^\"]$"):
        read(connection, table, pa.Table)


def test_columns_are_read_in_the_form_that_frames_are_made_of(connection: sa.Connection) -> None:
    kinds = [
        "numeric",
        "jsonb",
        "uuid",
        "interval",
        "uuid[]",
        "interval[]",
        "numeric[]",
        "date",
        "timestamptz",
    ]
    for kind in kinds:
        table = a_column(connection, kind, None)
        columns, frames = read_batches(connection, table, sa.select(table.c.value))
        (frame,) = frames

        assert frame.schema.types == as_read(columns["value"], [None]).schema.types, kind
