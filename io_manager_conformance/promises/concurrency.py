"""Concurrency: readers see a write whole or not at all, and writers do not mix their rows."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from secrets import token_hex
from threading import Barrier, Event

from io_manager_conformance.fruits import shop_table, stock
from io_manager_conformance.subject import Columns, Subject
from io_manager_conformance.table_under_test import Table, words_of

_ROWS = 4_000
_TIMES = 2


def a_reader_sees_the_old_rows_or_the_new(subject: Subject) -> None:
    """Who counts the rows during a write sees the old ones or the new ones, never none or some."""
    fruits, done = shop_table(subject), Event()
    fruits.write(_heavy("north", "apple"), "north")

    def look() -> set[tuple[str, int]]:
        seen = set()
        while not done.wait(0.001):
            names = Counter(str(row["name"]) for row in fruits.stored() or ())
            seen.add((" and ".join(sorted(names)), names.total()))
        return seen

    with ThreadPoolExecutor(1) as reader:
        looking = reader.submit(look)
        try:
            for name in ("fig", "apple"):
                fruits.write(_heavy("north", name), "north")
        finally:
            done.set()

    seen = looking.result()
    assert seen, "the reader saw nothing at all"
    assert seen <= {("apple", _ROWS), ("fig", _ROWS)}, f"seen: {sorted(seen)}"


def two_writers_of_one_partition_leave_the_rows_of_one(subject: Subject) -> None:
    """Of two runs of one partition at the same time one's rows stay, never those of both: retries overlap."""
    fruits = shop_table(subject, apart=True)
    fruits.write(_heavy("west", "pear"), "west")

    for state in ("new", "old"):
        _write_at_once(fruits, _heavy("north", "apple"), _heavy("north", "fig"))

        names = Counter(row["name"] for row in fruits.stored() or () if row["shop"] == "north")
        assert list(names.values()) == [_ROWS], (
            f"the {state} partition has {names}; each writer had {_ROWS} rows"
        )


def two_writers_of_different_partitions_succeed(subject: Subject) -> None:
    """Two partitions may be written at the same time, as a backfill does."""
    fruits = shop_table(subject, apart=True)
    fruits.write(stock("west", "pear"), "west")

    for _ in range(_TIMES):
        said = _write_at_once(fruits, stock("north", "apple"), stock("south", "fig"))

        assert said == ["", ""], said
        assert len(fruits.stored() or ()) == 3


def the_first_two_writers_of_a_table_succeed(subject: Subject) -> None:
    """The first two runs of a backfill both find no table, and both succeed."""
    for _ in range(_TIMES):
        fruits = shop_table(subject, key=(f"fruits_{token_hex(4)}",), apart=True)

        said = _write_at_once(fruits, stock("north", "apple"), stock("south", "fig"))

        assert said == ["", ""], said
        assert len(fruits.stored() or ()) == 2


def _heavy(shop: str, name: str) -> Columns:
    """Return a stock that takes its time to write, so that another has time to come between."""
    prices = {f"price_{day}": [Decimal("1.25")] * _ROWS for day in range(4)}
    return {**stock(shop, *[name] * _ROWS), **prices}


def _write_at_once(fruits: Table, *parts: Columns) -> list[str]:
    """Write the parts, each to its own shop, side by side, and return what their errors say."""
    meeting = Barrier(len(parts), timeout=60)

    def write(part: Columns) -> str:
        asset = fruits.asset(fruits.subject.make_frame(part), before=meeting.wait)
        return words_of(fruits.run([asset], str(part["shop"][0]), raise_on_error=False))

    with ThreadPoolExecutor(len(parts)) as writers:
        return list(writers.map(write, parts))
