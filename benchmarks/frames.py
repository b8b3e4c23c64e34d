"""A frame of a million rows into a table and back: the IO manager, ADBC, and COPY of encoded bytes."""

from collections.abc import Callable
from functools import partial
from resource import RUSAGE_SELF, getrusage
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import psycopg
import pyarrow as pa
from adbc_driver_postgresql import dbapi
from pgpq import ArrowToPostgresBinaryEncoder

from benchmarks.bench import a_server
from benchmarks.figures import Figure, Measured, Ratio
from purchase_pipeline_tests.direct_io import DirectIOManager, Place

_ROWS = 1_000_000
_ALIKE = 50  # distinct values of a repetitive column

_COLUMNS = """
    id bigint, shop integer, weight double precision, open boolean, client text, city text, bought date,
    paid timestamp, seen timestamptz, price numeric(14, 2), score double precision, ticket bigint
"""
_PLACE = Place(["measured", "sales"])
_NOTES = (
    f"{_ROWS:,} rows of 12 columns: {' '.join(_COLUMNS.split())}. Most values are unique.",
    "The table has an index on `ticket` and is created again before each write.",
    "Client CPU is that of all threads of the process. ADBC reads NUMERIC as text, this project as decimal.",
    "COPY of encoded bytes: psycopg sends what pgpq encoded beforehand, the minimum for any client.",
)


class _Cost(NamedTuple):
    cpu_microseconds: float
    seconds: float


def run(rounds: int) -> Measured:
    """Write and read the same rows with every method in turn, in each round."""
    with a_server() as (_, server):
        url = server.url("postgres")
        table = _rows()
        ready = _encoded(table)
        frames = {"Arrow": table, "polars": pl.from_arrow(table), "pandas": table.to_pandas()}
        io_manager = DirectIOManager(url)
        writers: dict[str, Callable[[], object]] = {
            "write: COPY of encoded bytes": partial(_copy, url, ready),
            "write: ADBC ingest": partial(_ingest, url, table),
            **{f"write: {name}": partial(io_manager.write, _PLACE, frame) for name, frame in frames.items()},
        }
        readers: dict[str, Callable[[], object]] = {
            "read: ADBC": partial(_fetch, url),
            "read: ADBC, then pandas": lambda: _fetch(url).to_pandas(),
            **{
                f"read: {name}": partial(io_manager.read_as, type(frame), _PLACE)
                for name, frame in frames.items()
            },
        }
        costs: dict[str, list[_Cost]] = {name: [] for name in (*writers, *readers)}
        for _ in range(rounds):
            for name, write in writers.items():
                _make_table(url)
                costs[name].append(_cost(write))
            for name, read in readers.items():
                costs[name].append(_cost(read))
    return _measured(costs)


def _measured(costs: dict[str, list[_Cost]]) -> Measured:
    cpu = {
        name: Figure(f"{name}: client CPU per row", "µs", [one.cpu_microseconds for one in found])
        for name, found in costs.items()
    }
    seconds = {
        name: Figure(f"{name}: total time", "s", [one.seconds for one in found])
        for name, found in costs.items()
    }
    adbc, ready = cpu["write: ADBC ingest"], seconds["write: COPY of encoded bytes"]
    ratios = [
        Ratio("write, client CPU: Arrow / ADBC ingest", cpu["write: Arrow"], adbc, at_most=1.5),
        Ratio("write, client CPU: polars / ADBC ingest", cpu["write: polars"], adbc, at_most=1.5),
        Ratio("write, client CPU: pandas / ADBC ingest", cpu["write: pandas"], adbc, at_most=3.0),
        Ratio(
            "write, total time: Arrow / COPY of encoded bytes", seconds["write: Arrow"], ready, at_most=1.3
        ),
        Ratio(
            "write, total time: polars / COPY of encoded bytes", seconds["write: polars"], ready, at_most=1.3
        ),
        Ratio("write, total time: pandas / COPY of encoded bytes", seconds["write: pandas"], ready),
        Ratio("read, client CPU: Arrow / ADBC", cpu["read: Arrow"], cpu["read: ADBC"], at_most=1.5),
        Ratio("read, client CPU: polars / ADBC", cpu["read: polars"], cpu["read: ADBC"], at_most=1.5),
        Ratio(
            "read, client CPU: pandas / ADBC, then pandas",
            cpu["read: pandas"],
            cpu["read: ADBC, then pandas"],
        ),
    ]
    return Measured("frames", [*cpu.values(), *seconds.values()], ratios, _NOTES)


def _cost(work: Callable[[], object]) -> _Cost:
    before, started = getrusage(RUSAGE_SELF), perf_counter()
    kept = work()
    seconds, after = perf_counter() - started, getrusage(RUSAGE_SELF)
    del kept
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return _Cost(cpu / _ROWS * 1e6, seconds)


def _rows() -> pa.Table:
    seed = np.random.default_rng(22)
    cents = pa.array(seed.integers(0, 10**9, _ROWS)).cast(pa.decimal128(19, 0))
    return pa.table(
        {
            "id": pa.array(np.arange(_ROWS)),
            "shop": pa.array(seed.integers(0, _ALIKE, _ROWS).astype("int32")),
            "weight": pa.array(seed.random(_ROWS)),
            "open": pa.array(seed.integers(0, 2, _ROWS).astype("bool")),
            "client": pa.array([f"client {number}" for number in seed.integers(0, 1 << 30, _ROWS)]),
            "city": pa.array([f"São Paulo {number}" for number in seed.integers(0, _ALIKE, _ROWS)]),
            "bought": pa.array(seed.integers(0, 20_000, _ROWS).astype("int32")).cast(pa.date32()),
            "paid": pa.array(seed.integers(0, 1 << 50, _ROWS)).cast(pa.timestamp("us")),
            "seen": pa.array(seed.integers(0, 1 << 50, _ROWS)).cast(pa.timestamp("us", "UTC")),
            "price": pa.chunked_array([_hundredths(cents)]),
            "score": pa.array(seed.random(_ROWS), mask=seed.random(_ROWS) < 0.1),  # noqa: PLR2004
            "ticket": pa.array(seed.integers(0, 1 << 40, _ROWS)),
        }
    )


def _hundredths(cents: Any) -> Any:  # noqa: ANN401  # pyarrow is untyped
    """Reinterpret integers as hundredths: the same buffers with another scale."""
    return pa.Array.from_buffers(pa.decimal128(14, 2), len(cents), cents.buffers())


def _encoded(table: pa.Table) -> bytes:
    encoder = ArrowToPostgresBinaryEncoder(table.schema)
    parts = [encoder.write_header(), *map(encoder.write_batch, table.to_batches(max_chunksize=50_000))]
    return b"".join([*parts, encoder.finish()])


def _make_table(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS measured")
        connection.execute("DROP TABLE IF EXISTS measured.sales")
        connection.execute(f"CREATE TABLE measured.sales ({_COLUMNS})")
        connection.execute("CREATE INDEX ON measured.sales (ticket)")
        connection.execute("CHECKPOINT")


def _copy(url: str, ready: bytes) -> None:
    into = "COPY measured.sales FROM STDIN (FORMAT BINARY)"
    with psycopg.connect(url) as connection, connection.cursor() as cursor, cursor.copy(into) as copy:
        for start in range(0, len(ready), 1 << 20):
            copy.write(ready[start : start + (1 << 20)])


def _ingest(url: str, table: pa.Table) -> None:
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("sales", table, mode="append", db_schema_name="measured")
        connection.commit()


def _fetch(url: str) -> pa.Table:
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM measured.sales")
        return cursor.fetch_arrow_table()
