"""Streams with dissimilar batches, large rows, and other ways to reach the server."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import Batches, RowStream
from purchase_pipeline_tests.direct_io import DirectIOManager, Place

THINGS = Place(["things"])

pytestmark = pytest.mark.filterwarnings("ignore:Did not recognize type")


@pytest.fixture
def manager(database_url: str) -> DirectIOManager:
    """The IO manager of an empty database."""
    return DirectIOManager(database_url)


def arrays(*columns: Any) -> list[pa.Table]:  # noqa: ANN401
    return [pa.table({"value": column}) for column in columns]


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        (arrays(pa.array([1], pa.int64()), pa.array([2], pa.int8()), pa.array([3], pa.uint32())), [1, 2, 3]),
        (
            arrays(pa.array(["a"]), pa.array(["b"], pa.large_string()), pa.array(["c"]).dictionary_encode()),
            ["a", "b", "c"],
        ),
        (arrays(pa.array(["a"], pa.string_view()), pa.nulls(1), pa.array(["c"])), ["a", "c", None]),
        (
            arrays(
                pa.array([Decimal("1.5")], pa.decimal128(5, 1)),
                pa.array([Decimal("2.25")], pa.decimal256(60, 2)),
                pa.array([3], pa.uint64()),
            ),
            [Decimal("1.5"), Decimal("2.25"), Decimal(3)],
        ),
        (
            arrays(
                pa.array([datetime(2024, 1, 1)], pa.timestamp("s", "UTC")),
                pa.array([datetime(2024, 1, 2)], pa.timestamp("ns", "Asia/Tokyo")),
            ),
            [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)],
        ),
        (arrays(pa.array([1.5], pa.float32()), pa.array([2.5], pa.float64())), [1.5, 2.5]),
        (
            arrays(pa.array([[1]], pa.list_(pa.int8())), pa.array([[2]], pa.large_list(pa.int64()))),
            [[1], [2]],
        ),
        ([pd.DataFrame({"value": [1]}), pl.DataFrame({"value": [2]}), [{"value": 3}]], [1, 2, 3]),
    ],
)
def test_batches_that_differ_in_how_they_hold_a_type_are_one_column(
    manager: DirectIOManager, batches: Iterable[Any], expected: list[Any]
) -> None:
    manager.write(THINGS, Batches(batches))

    found = [value for (value,) in manager.read(THINGS)]
    assert sorted(found, key=lambda value: (value is None, value or 0)) == expected


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("point", "(1,2)", "(1,2)"),
        ("int4range", "[1,5)", "[1,5)"),
        ("interval day", pd.Timedelta(days=1), "1 day"),
        ("money", Decimal("1.25"), "$1.25"),
        ("inet[]", ["1.2.3.4"], "{1.2.3.4}"),
    ],
)
def test_a_column_without_values_in_later_batches_stays_of_its_type(
    manager: DirectIOManager, database_url: str, column: str, value: object, text: str
) -> None:
    frames = [pd.DataFrame({"value": pd.Series([one], dtype="object")}) for one in (value, None, None)]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE things (value {column})")

        manager.write(THINGS, Batches(frames))

        with connection.cursor() as cursor, cursor.copy("COPY things TO STDOUT") as copy:
            assert sorted(copy.rows(), key=str) == sorted([(None,), (None,), (text,)], key=str)


def test_a_table_has_as_many_columns_as_postgresql_allows(manager: DirectIOManager) -> None:
    row = {f"column_{place}": place % 2 == 0 for place in range(1600)}

    manager.write(THINGS, pl.DataFrame([row]))

    assert manager.read_as(pl.DataFrame, THINGS).to_dicts() == [row]


def test_a_text_of_a_hundred_megabytes_comes_back_whole(manager: DirectIOManager) -> None:
    manager.write(THINGS, pa.table({"value": ["x" * 100_000_000]}))

    (text,) = manager.read_as(pa.Table, THINGS)["value"].to_pylist()

    assert len(text) == 100_000_000


@pytest.mark.parametrize(
    "spelling",
    ["two hosts", "a service's words"],
)
def test_a_table_is_read_by_whatever_url_it_was_written_by(database_url: str, spelling: str) -> None:
    url = sa.make_url(database_url)
    host, port = url.host or url.query["host"], str(url.port or url.query.get("port", "5432"))
    plain = url.set(host=None, port=None)
    query = (
        {"host": f"/nowhere,{host}", "port": f"1,{port}", "target_session_attrs": "read-write"}
        if spelling == "two hosts"
        else {"host": str(host), "port": port, "application_name": "it's \\ one", "sslmode": "prefer"}
    )
    manager = DirectIOManager(plain.set(query=query).render_as_string(hide_password=False))

    manager.write(THINGS, pl.DataFrame({"value": [1]}))

    assert manager.read_as(pl.DataFrame, THINGS).to_dicts() == [{"value": 1}]
    assert manager.read(THINGS) == [(1,)]


def test_a_small_statement_timeout_of_the_role_ends_no_reader(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE things AS SELECT repeat('x', 1000) AS value FROM generate_series(1, 60000)"
        )
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET statement_timeout = '50ms'")
        connection.execute(f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '50ms'")

    stream = DirectIOManager(database_url).read_as(RowStream, THINGS)

    assert sum(len(rows) for rows in stream.batches) == 60_000
