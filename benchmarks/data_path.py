"""One lot of 10,000 rows, from the HTTP request to the commit: this project's way, and others'."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.bench import Bench, a_bench
from benchmarks.contenders import Contender, take_turns
from benchmarks.figures import Figure, Measured, Ratio
from benchmarks.ours import Ours, OursReplacing, our_path
from benchmarks.peers.floor import RawCopy
from benchmarks.peers.original import OriginalMethod
from benchmarks.peers.to_sql import ToSql, to_sql_variants
from benchmarks.same_table import make_tables

ROWS = 10_000
_NOTES = (
    "Seconds from the request to the commit of the same 10,000 rows; each line is one way to do it.",
    "This project keeps the answer on disk, judges each row by a strict contract, and commits two tables and a ledger.",
    "The original's method checks types; the others parse dates at most.",
    "All but dlt load into the same table with the same primary key; dlt makes its own table, without a key.",
    "The floor has its CSV ready and its connection open.",
)


def run(rounds: int) -> Measured:
    """Let all take turns."""
    from benchmarks.peers.adbc import AdbcIngest  # noqa: PLC0415  # of the bench lock, which `quick` does without
    from benchmarks.peers.dlt_pipelines import dlt_variants  # noqa: PLC0415

    with a_bench() as bench, ours_and_those_at_hand(bench) as (at_hand, database_url):
        ours, replacing, floor, original, to_sql = at_hand
        dlt_default, *dlt_fast = dlt_variants(bench.api_url, database_url, bench.folder)
        contenders: list[Contender] = [
            *(ours, replacing, floor, original, dlt_default, *dlt_fast, to_sql),
            *to_sql_variants(bench.api_url, database_url),
            AdbcIngest(bench.api_url, database_url),
        ]
        seconds = take_turns(contenders, rounds, ROWS)
    ratios = [
        *ratios_of_those_at_hand(seconds, at_hand),
        times_faster(seconds, dlt_default, ours, at_least=15),
        *(times_faster(seconds, one, ours) for one in contenders if one not in (*at_hand, dlt_default)),
    ]
    return Measured("data_path", list(seconds.values()), ratios, _NOTES)


@contextmanager
def ours_and_those_at_hand(bench: Bench, rows: int = ROWS) -> Iterator[tuple[Sequence[Contender], str]]:
    """Yield those that need no more than the development lock, and their database: ours first."""
    database_url = bench.database("data_path")
    make_tables(database_url)
    with our_path(bench.api_url, bench.folder / "landing", database_url) as path:
        yield (
            (
                Ours(path, database_url),
                OursReplacing(path, database_url, rows),
                RawCopy(bench.api_url, database_url, rows),
                OriginalMethod(bench.api_url, database_url),
                ToSql(bench.api_url, database_url),
            ),
            database_url,
        )


def ratios_of_those_at_hand(seconds: dict[str, Figure], at_hand: Sequence[Contender]) -> list[Ratio]:
    """Hold those of `ours_and_those_at_hand` against ours."""
    ours, replacing, floor, original, to_sql = at_hand
    return [
        times_faster(seconds, original, ours, at_least=12),
        Ratio("this project / the floor", seconds[ours.name], seconds[floor.name], at_most=4),
        Ratio("replacing a loaded lot / a new lot", seconds[replacing.name], seconds[ours.name]),
        times_faster(seconds, to_sql, ours),
    ]


def times_faster(
    seconds: dict[str, Figure], of: Contender, to: Contender, at_least: float | None = None
) -> Ratio:
    """Return how many times longer `of` takes than `to`."""
    return Ratio(f"{of.name} / {to.name}", seconds[of.name], seconds[to.name], at_least=at_least)
