"""The same batch replaced 100 times in a table of 500,000 rows: the cost of dead rows in space and time."""

from time import monotonic, perf_counter, sleep
from typing import NamedTuple

import psycopg

from benchmarks.bench import a_bench
from benchmarks.big_tables import LOT_ROWS, multiply_first_lot, settle
from benchmarks.figures import Figure, Measured, Ratio
from benchmarks.ours import our_path
from benchmarks.same_table import make_tables

_LOTS = 50
_TIMES = 100
_LOTE = "lote-0025"
_MIB = 1 << 20
_AUTOVACUUM_SECONDS = 150.0  # it runs once a minute

_NOTES = (
    "One pass, regardless of the number of rounds.",
    "100 replacements without pauses; autovacuum, if it runs; a manual VACUUM; 100 more replacements.",
    "After VACUUM, the space of dead rows is reused: further replacements do not grow the table.",
)


class _State(NamedTuple):
    """The state of the table."""

    size_mib: float
    dead_rows: float
    autovacuums: float


def run(rounds: int) -> Measured:  # noqa: ARG001  # see the notes
    """Replace the batch 100 times, wait for autovacuum, vacuum, and replace it 100 more times."""
    with a_bench() as bench:
        database_url = bench.database("replacements")
        make_tables(database_url)
        with our_path(bench.api_url, bench.folder / "landing", database_url) as path:
            path.load("lote-0001", LOT_ROWS)
            multiply_first_lot(database_url, _LOTS)
            settle(database_url)
            states, seconds = {"before": _state(database_url)}, list[float]()
            for again in ("", "more "):
                for number in range(1, _TIMES + 1):
                    started = perf_counter()
                    path.load(_LOTE, LOT_ROWS)
                    seconds.append(perf_counter() - started)
                    if number in {10, _TIMES}:
                        states[f"after {number} {again}replacements"] = _state(database_url)
                if not again:
                    states["after autovacuum"] = _after_autovacuum(database_url)
                    settle(database_url)
                    states["after VACUUM"] = _state(database_url)
    tenth = _TIMES // 10
    first = Figure("a replacement, the first 10", "s", seconds[:tenth])
    last = Figure("a replacement, the last 10 before VACUUM", "s", seconds[_TIMES - tenth : _TIMES])
    vacuumed = Figure("a replacement, the first 10 after VACUUM", "s", seconds[_TIMES : _TIMES + tenth])
    figures = [
        *(Figure(f"table and indexes {when}", "MiB", [state.size_mib]) for when, state in states.items()),
        *(Figure(f"dead rows {when}", "rows", [state.dead_rows]) for when, state in states.items()),
        *(first, last, vacuumed),
    ]
    ratios = [
        Ratio("a replacement, the last 10 / the first 10", last, first),
        Ratio("a replacement, the first 10 after VACUUM / the first 10", vacuumed, first),
    ]
    return Measured("replacements", figures, ratios, _NOTES)


def _after_autovacuum(database_url: str) -> _State:
    """Wait for an autovacuum, which may not run."""
    come = _state(database_url).autovacuums
    deadline = monotonic() + _AUTOVACUUM_SECONDS
    while (state := _state(database_url)).autovacuums == come and monotonic() < deadline:
        sleep(1)
    return state


def _state(database_url: str) -> _State:
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        row = connection.execute(
            "SELECT pg_total_relation_size(relid), n_dead_tup, autovacuum_count FROM pg_stat_user_tables "
            "WHERE relname = 'tabela_compras'"
        ).fetchone()
    size, dead_rows, autovacuums = row or (0, 0, 0)
    return _State(size / _MIB, float(dead_rows), float(autovacuums))
