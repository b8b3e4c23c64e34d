"""Concurrent writers leave one writer's rows whole, and readers always see a whole slice."""

import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import chain, permutations
from pathlib import Path
from threading import Barrier, Event
from typing import NamedTuple

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa

from purchase_pipeline.postgres import RowStream
from purchase_pipeline_tests.direct_io import DirectIOManager, Place

SALES = sa.Table(
    "any",
    sa.MetaData(),
    sa.Column("shop", sa.Text, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("writer", sa.Text, nullable=False),
)
SHOPS = dg.StaticPartitionsDefinition(["east", "north", "south", "west"])
DAYS = dg.DailyPartitionsDefinition(start_date="2024-03-01", end_date="2024-03-05")
Row = tuple[object, ...]


@dataclass(frozen=True)
class Writer:
    """A writer of that many rows to each slice of a place."""

    name: str
    place: Place
    shops: Sequence[str] = ("north",)
    days: Sequence[int] = (1,)
    rows_a_slice: int = 20

    def rows(self) -> list[Row]:
        return [
            (shop, date(2024, 3, day), self.name)
            for shop in self.shops
            for day in self.days
            for _ in range(self.rows_a_slice)
        ]

    def stream(self, batches: Iterable[Sequence[Row]] | None = None) -> RowStream:
        return RowStream(columns=SALES.columns.keys(), batches=batches or [self.rows()], table=SALES)

    def replaces(self, row: Row) -> bool:
        return row[:2] in {own[:2] for own in self.rows()}


def in_shops(first: str, last: str = "") -> Place:
    return Place(key=["sales"], metadata={"partition_expr": "shop"}, partitions=SHOPS, first=first, last=last)


def on_days(first: str, last: str = "") -> Place:
    return Place(key=["sales"], metadata={"partition_expr": "day"}, partitions=DAYS, first=first, last=last)


NORTH = Writer("north", in_shops("north"), rows_a_slice=30)
EAST_TO_SOUTH = Writer("east to south", in_shops("east", "south"), ["east", "north", "south"])
NORTH_TO_WEST = Writer("north to west", in_shops("north", "west"), ["north", "south", "west"])
WHOLE = Writer("whole", Place(key=["sales"]), ["east", "north", "south", "west"])
SECOND = Writer("second", on_days("2024-03-02"), days=[2], rows_a_slice=30)
FIRST_TO_THIRD = Writer("first to third", on_days("2024-03-01", "2024-03-03"), days=[1, 2, 3])
MEETINGS = [
    pair
    for meeting in [
        (NORTH, EAST_TO_SOUTH),
        (EAST_TO_SOUTH, NORTH_TO_WEST),
        (NORTH, WHOLE),
        (EAST_TO_SOUTH, WHOLE),
        (SECOND, FIRST_TO_THIRD),
    ]
    for pair in permutations(meeting)
]


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection]:
    """The test's database, for inspecting the result."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def stored(database: psycopg.Connection) -> Counter[Row]:
    return Counter(database.execute("TABLE sales"))


def one_after_the_other(*writers: Writer) -> Counter[Row]:
    rows: list[Row] = []
    for writer in writers:
        rows = [row for row in rows if not writer.replaces(row)] + writer.rows()
    return Counter(rows)


@pytest.mark.parametrize("is_new", [False, True], ids=["into one table", "into a new table each time"])
def test_of_two_writers_of_a_slice_one_is_kept_whole(
    database: psycopg.Connection, database_url: str, *, is_new: bool
) -> None:
    races, start, wins = 100, Barrier(2), Counter[str]()
    writers = [Writer(name, in_shops("north"), rows_a_slice=rows) for name, rows in [("a", 30), ("b", 50)]]
    managers = [DirectIOManager(database_url) for _ in writers]

    def write(writer: Writer, manager: DirectIOManager, race: int) -> tuple[float, float]:
        start.wait()
        begin = time.monotonic()
        manager.write(writer.place, writer.stream(), run_id=f"{writer.name} {race}")
        return begin, time.monotonic()

    overlapping = 0
    with ThreadPoolExecutor(2) as pool:
        for race in range(races):
            if is_new:
                database.execute("DROP TABLE IF EXISTS sales, slice_ledger")
            (begin, end), (other_begin, other_end) = pool.map(write, writers, managers, [race, race])

            found = stored(database)
            (winner,) = [writer for writer in writers if found == Counter(writer.rows())]
            ledger = database.execute("SELECT run_id, rows FROM slice_ledger").fetchall()
            assert ledger == [(f"{winner.name} {race}", winner.rows_a_slice)]
            wins[winner.name] += 1
            overlapping += max(begin, other_begin) < min(end, other_end)

    print(f"{races} races, {overlapping} of them overlapping, won by {dict(wins)}")


@pytest.mark.parametrize(("first", "second"), MEETINGS, ids=lambda writer: writer.name)
def test_a_writer_that_comes_while_another_writes_waits_its_turn(
    database: psycopg.Connection, database_url: str, first: Writer, second: Writer
) -> None:
    early_manager, late_manager = DirectIOManager(database_url), DirectIOManager(database_url)
    is_writing = Event()

    def slowly() -> Iterator[Sequence[Row]]:
        rows = first.rows()
        yield rows[:10]
        is_writing.set()
        time.sleep(0.1)
        yield rows[10:]

    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):  # into no table, then over old rows
            is_writing.clear()
            early = pool.submit(early_manager.write, first.place, first.stream(slowly()))
            assert is_writing.wait(timeout=60)
            late_manager.write(second.place, second.stream())
            early.result()

            assert stored(database) == one_after_the_other(first, second)


@pytest.mark.parametrize(("one", "other"), MEETINGS[::2], ids=lambda writer: writer.name)
def test_writers_that_start_at_once_leave_no_slice_with_rows_of_both(
    database: psycopg.Connection, database_url: str, one: Writer, other: Writer
) -> None:
    start = Barrier(2)

    def write(writer: Writer, manager: DirectIOManager) -> None:
        start.wait()
        manager.write(writer.place, writer.stream())

    managers = [DirectIOManager(database_url) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            list(pool.map(write, [one, other], managers))

            assert stored(database) in (one_after_the_other(one, other), one_after_the_other(other, one))


def test_first_writers_of_many_slices_at_once_all_succeed(
    database: psycopg.Connection, database_url: str
) -> None:
    names = [f"shop {number:02}" for number in range(16)]
    shops = dg.StaticPartitionsDefinition(names)
    start = Barrier(len(names))
    managers = [DirectIOManager(database_url) for _ in names]

    def write(name: str, manager: DirectIOManager) -> None:
        place = Place(
            key=["market", "sales"], metadata={"partition_expr": "shop"}, partitions=shops, first=name
        )
        stream = Writer(name, place, [name]).stream()
        start.wait()
        manager.write(place, stream)

    with ThreadPoolExecutor(len(names)) as pool:
        for _ in range(5):
            database.execute("DROP SCHEMA IF EXISTS market CASCADE")
            list(pool.map(write, names, managers))

            counts = "SELECT shop, count(*) FROM market.sales GROUP BY shop ORDER BY shop"
            assert database.execute(counts).fetchall() == [(name, 20) for name in names]
            ledger = "SELECT partition, rows FROM market.slice_ledger ORDER BY partition"
            assert database.execute(ledger).fetchall() == [(name, 20) for name in names]


def test_a_writer_of_another_slice_does_not_wait(database: psycopg.Connection, database_url: str) -> None:
    south = Writer("south", in_shops("south"), ["south"])
    manager, is_writing, has_passed = DirectIOManager(database_url), Event(), Event()
    manager.write(south.place, south.stream())

    def waiting() -> Iterator[Sequence[Row]]:
        is_writing.set()
        assert has_passed.wait(timeout=60)
        yield NORTH.rows()

    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(DirectIOManager(database_url).write, NORTH.place, NORTH.stream(waiting()))
        assert is_writing.wait(timeout=60)
        manager.write(south.place, south.stream())
        has_passed.set()
        early.result()

    assert stored(database) == one_after_the_other(NORTH, south)


READER = """
import itertools, os, struct, sys, time
import psycopg

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    connection.execute("SET max_parallel_workers_per_gather = 0")
    for condition in itertools.cycle(["slice = 1", "false"]):
        begin = time.monotonic()
        (rows,) = connection.execute(f"SELECT count(*) FROM numbers WHERE {condition}").fetchone()
        os.write(1, struct.pack("ddq?", begin, time.monotonic(), rows, condition != "false"))
"""


class Read(NamedTuple):
    """One observation of the slice: the time, the number of rows, and whether counting succeeded."""

    begin: float
    end: float
    rows: int
    is_count: bool

    def overlaps(self, begin: float, end: float) -> bool:
        return begin < self.end and self.begin < end


class Readers:
    """Processes that count a slice's rows without pause: what they wait for is PostgreSQL, not Python's lock.

    Every other time they only open the table, which shows how long its lock kept them, without the work of counting.
    """

    def __init__(self, database_url: str, file: Path) -> None:
        self._file = file
        with file.open("ab") as output:
            self._processes = [
                subprocess.Popen([sys.executable, "-c", READER, database_url], stdout=output)
                for _ in range(2)
            ]

    def wait_for(self, reads: int) -> None:
        while self._file.stat().st_size < reads * struct.calcsize("ddq?"):
            assert all(process.poll() is None for process in self._processes), "a reader failed"
            time.sleep(0.001)

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def reads(self) -> list[Read]:
        return [Read(*fields) for fields in struct.iter_unpack("ddq?", self._file.read_bytes())]


@contextmanager
def reading(database_url: str, file: Path) -> Iterator[Readers]:
    """Let the readers run for a while."""
    readers = Readers(database_url, file)
    try:
        yield readers
    finally:
        readers.stop()


@pytest.mark.proof
def test_readers_see_the_old_slice_or_the_new_one_and_hardly_wait(
    database: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    replaces, reads_a_replace = 12, 100  # half of them counts
    columns = ["slice", "number", "square"]
    numbers = sa.Table("any", sa.MetaData(), *(sa.Column(name, sa.Integer) for name in columns))
    place = Place(
        key=["numbers"],
        metadata={"partition_expr": "slice"},
        partitions=dg.StaticPartitionsDefinition(["1"]),
        first="1",
    )
    all_rows = [(1, number, number * number % 1000) for number in range(100_000)]
    batches = [all_rows[1:], all_rows]
    manager = DirectIOManager(database_url)

    def replace(batch: Sequence[Row]) -> tuple[float, float]:
        begin = time.monotonic()
        manager.write(place, RowStream(columns=columns, batches=[batch], table=numbers))
        return begin, time.monotonic()

    replace(all_rows)
    times = []
    with reading(database_url, tmp_path / "reads") as readers:
        for replaced in range(replaces):
            readers.wait_for(replaced * reads_a_replace + 1)
            times.append(replace(batches[replaced % 2]))
            # As autovacuum would, were a minute to pass: replaces without a pause leave a multiple of dead rows.
            database.execute("VACUUM (TRUNCATE FALSE) numbers")
        readers.wait_for(replaces * reads_a_replace)
    reads = readers.reads()
    counts = [read for read in reads if read.is_count]

    during = [[read for read in reads if read.overlaps(begin, end)] for begin, end in times]
    print(
        f"{len(counts)} counts, {replaces} replaces of {len(all_rows)} rows, "
        f"{1000 * sum(end - begin for begin, end in times) / replaces:.0f} ms each; "
        f"meanwhile a count took {waits(read for read in chain(*during) if read.is_count)}, "
        f"and to open the table {waits(read for read in chain(*during) if not read.is_count)}"
    )
    assert {read.rows for read in counts} == {100_000, 99_999}
    assert len(counts) >= replaces * reads_a_replace / 2 - 1
    assert min(map(len, during)) > 0
    assert max(read.end - read.begin for read in reads) < 2


def waits(reads: Iterable[Read]) -> str:
    took = sorted(1000 * (read.end - read.begin) for read in reads)
    return f"median {took[len(took) // 2]:.1f} ms, p99 {took[len(took) * 99 // 100]:.1f} ms, worst {took[-1]:.1f} ms"
