"""ADBC's connections share what was read of a database's types, which later types do not make wrong."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import adbc_driver_postgresql
import polars as pl
import psycopg
import pyarrow as pa
import pytest
from adbc_driver_manager import AdbcConnection, AdbcStatement

from purchase_pipeline.postgres.frames.adbc_connections import connection_of
from purchase_pipeline_tests.direct_io import DirectIOManager, Place


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The databases whose types were read."""
    opened, connect = list[str](), adbc_driver_postgresql.connect

    def noting(conninfo: str) -> object:
        opened.append(conninfo)
        return connect(conninfo)

    monkeypatch.setattr(adbc_driver_postgresql, "connect", noting)
    return opened


def named(database_url: str, number: int) -> str:
    return psycopg.conninfo.make_conninfo(database_url, application_name=f"reader {number}")


def answer(connection: AdbcConnection) -> object:
    with AdbcStatement(connection) as statement:
        statement.set_sql_query("SELECT 42")
        stream, _ = statement.execute_query()
        return pa.RecordBatchReader.from_stream(stream).read_all().column(0).to_pylist()


def test_types_are_read_once(database_url: str, opened: list[str]) -> None:
    manager, place = DirectIOManager(database_url), Place(["sales"])
    manager.write(place, pl.DataFrame({"row": [1, 2]}))

    for _ in range(3):
        assert manager.read_as(pl.DataFrame, place).height == 2

    assert len(opened) == 1


def test_types_made_since_then_are_read(database_url: str) -> None:
    manager = DirectIOManager(database_url)
    manager.write(Place(["sales"]), pl.DataFrame({"row": [1]}))
    assert manager.read_as(pl.DataFrame, Place(["sales"])).height == 1

    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TYPE size AS ENUM ('small', 'big')")
        connection.execute("CREATE DOMAIN code AS int")
        connection.execute("CREATE TABLE goods (size size, sizes size[], code code, codes code[])")
        connection.execute("INSERT INTO goods VALUES ('big', '{small,big}', 7, '{8,9}')")

    read = manager.read_as(pl.DataFrame, Place(["goods"]))
    assert read.rows() == [("big", ["small", "big"], 7, [8, 9])]


def test_the_last_ones_are_kept_and_those_in_use(database_url: str, opened: list[str]) -> None:
    with connection_of(named(database_url, 0)) as first:
        for number in range(1, 6):
            with connection_of(named(database_url, number)) as connection:
                assert answer(connection) == [42]
        assert answer(first) == [42]

    with connection_of(named(database_url, 5)), connection_of(named(database_url, 0)):
        pass

    assert opened == [named(database_url, number) for number in (*range(6), 0)]


def test_connections_are_opened_and_closed_by_many_threads(database_url: str, opened: list[str]) -> None:
    def ask(number: int) -> object:
        with ExitStack() as stack:
            two = [stack.enter_context(connection_of(named(database_url, number % 2))) for _ in range(2)]
            return [answer(connection) for connection in two]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(40)))

    assert answers == [[[42], [42]]] * 40
    assert len(opened) == 2
