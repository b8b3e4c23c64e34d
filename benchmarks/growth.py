"""One batch, new and replaced, in tables of 0, 1, 5 and 10 million rows."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median
from time import perf_counter

import psycopg

from benchmarks.bench import Bench, a_bench
from benchmarks.big_tables import LOT_ROWS, multiply_first_lot, settle
from benchmarks.figures import Figure, Measured, Ratio
from benchmarks.ours import OurPath, our_path
from benchmarks.same_table import IntoSameTable, make_tables

LOTS = (0, 100, 500, 1_000)
"""Batches of 10,000 rows in each table."""

_WHATS = ("new batch into", "batch replaced in")
_LOTS_A_ROUND = 3  # the differences are smaller than the noise of a single load
_STRIDE = 37  # between replaced batches; coprime to the numbers of batches

_NOTES = (
    "Four databases on one server, each with a table; a round loads three batches into each and uses their median.",
    "A checkpoint precedes each load, so that each writes the same amount of WAL.",
    "The server has 128 MB of shared buffers; a table of 10 million rows has 20 times that size.",
    "Loaded rows stay, except in the empty table, which is emptied each time.",
)


class _GrownTable:
    """A table with a number of batches, in its own database."""

    def __init__(self, path: OurPath, database_url: str, lots: int) -> None:
        self._path = path
        self._database_url = database_url
        self._lots = lots
        self.name = f"table of {lots * LOT_ROWS:,} rows"
        if lots:
            path.load("lote-0001", rows=LOT_ROWS)
            multiply_first_lot(database_url, lots)
        settle(database_url)

    def load_new(self, number: int) -> float:
        """Load a new batch, and return the seconds."""
        return self._timed_load(f"lote-{self._lots + number:04d}")

    def load_again(self, number: int) -> float:
        """Replace a batch (in the empty table, the newest one), and return the seconds."""
        within = number * _STRIDE % self._lots + 1 if self._lots else number
        taken = self._timed_load(f"lote-{within:04d}")
        if not self._lots:
            IntoSameTable(self._database_url).clean()
        return taken

    def _timed_load(self, lote: str) -> float:
        with psycopg.connect(self._database_url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        started = perf_counter()
        self._path.load(lote, rows=LOT_ROWS)
        return perf_counter() - started


def run(rounds: int, lots: Sequence[int] = LOTS) -> Measured:
    """Fill the tables, which takes minutes and 5 GB, then let them take turns."""
    seconds = defaultdict[str, list[float]](list)
    with ExitStack() as stack:
        bench = stack.enter_context(a_bench())
        tables = [_grown(stack, bench, number) for number in lots]
        for number in range(rounds + 1):  # the first is not counted
            first = number % len(tables)
            for table in (*tables[first:], *tables[:first]):
                lots_of_round = range(number * _LOTS_A_ROUND + 1, (number + 1) * _LOTS_A_ROUND + 1)
                taken = [(table.load_new(lot), table.load_again(lot)) for lot in lots_of_round]
                for what, values in zip(_WHATS, zip(*taken, strict=True), strict=True):
                    seconds[f"{what} a {table.name}"] += [median(values)] if number else []
    figures = [
        Figure(f"{what} a {table.name}", "s", seconds[f"{what} a {table.name}"])
        for what in _WHATS
        for table in tables
    ]
    return Measured("growth", figures, _ratios(tables, figures), _NOTES)


def _grown(stack: ExitStack, bench: Bench, lots: int) -> _GrownTable:
    database_url = bench.database(f"lots_{lots}")
    make_tables(database_url)
    path = stack.enter_context(our_path(bench.api_url, bench.folder / "landing", database_url, 9_999))
    return _GrownTable(path, database_url, lots)


def _ratios(tables: Sequence[_GrownTable], figures: Sequence[Figure]) -> list[Ratio]:
    by_name = {figure.name: figure for figure in figures}
    return [
        Ratio(
            f"{what} a {tables[-1].name} / an empty one",
            by_name[f"{what} a {tables[-1].name}"],
            by_name[f"{what} a {tables[0].name}"],
            at_most=1.15,
        )
        for what in _WHATS
    ]
