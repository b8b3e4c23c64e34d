"""One lot of 10,000 rows, from the HTTP request to the commit: this project's way, and others'."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.bench import Bench, a_bench
from benchmarks.contenders import Contender, take_turns
from benchmarks.figures import Figure, Measured, Ratio
from benchmarks.ours import Ours, OursReplacing, our_path
from benchmarks.peers.floor import RawCopy
from benchmarks.peers.original import OriginalMethod
from benchmarks.peers.to_sql import ToSql, to_sql_variants
from benchmarks.same_table import make_tables
from benchmarks.served_original import original_api

ROWS = 10_000
_NOTES = (
    "Seconds from the request to the commit of the same 10,000 rows; each line is one way to do it.",
    "This project keeps the answer on disk, judges each row by a strict contract, and commits two tables and a ledger.",
    "The original's method checks types; the others parse dates at most.",
    "All but dlt load into the same table with the same primary key; dlt makes its own table, without a key.",
    "The original's own API makes each row when asked, with Faker; who is not said to ask it asks this project's.",
    "The floor has its CSV ready and its connection open.",
)


def run(rounds: int) -> Measured:
    """Let all take turns."""
    from benchmarks.peers.adbc import AdbcIngest  # noqa: PLC0415  # of the bench lock, which `quick` does without
    from benchmarks.peers.dlt_pipelines import dlt_default, dlt_fast  # noqa: PLC0415

    with a_bench() as bench, original_api() as original_url, those_at_hand(bench, original_url) as at_hand:
        where = (at_hand.database_url, bench.folder)
        dlt_whole = dlt_default("dlt, default, asking the original's API", original_url, *where, "dlt_whole")
        others: list[Contender] = [
            dlt_default("dlt, default (types inferred)", bench.api_url, *where, "dlt_default"),
            *dlt_fast(bench.api_url, *where),
            *to_sql_variants(bench.api_url, at_hand.database_url),
            AdbcIngest(bench.api_url, at_hand.database_url),
        ]
        seconds = take_turns([*at_hand.contenders, dlt_whole, *others], rounds, ROWS)
    ratios = [
        *ratios_of_those_at_hand(seconds, at_hand),
        times_faster(seconds, dlt_whole, at_hand.ours, at_least=15),
        *(times_faster(seconds, one, at_hand.ours) for one in others),
    ]
    return Measured("data_path", list(seconds.values()), ratios, _NOTES)


@dataclass(frozen=True)
class AtHand:
    """Those that need no more than the development lock, and the database that they load into."""

    database_url: str
    ours: Ours
    replacing: OursReplacing
    floor: RawCopy
    original: OriginalMethod
    original_method: OriginalMethod
    to_sql: ToSql

    @property
    def contenders(self) -> list[Contender]:
        """All of them, ours first."""
        return [self.ours, self.replacing, self.floor, self.original, self.original_method, self.to_sql]


@contextmanager
def those_at_hand(bench: Bench, original_url: str, rows: int = ROWS) -> Iterator[AtHand]:
    """Make the tables, and open this project's path into them."""
    api_url, database_url = bench.api_url, bench.database("data_path")
    make_tables(database_url)
    with our_path(api_url, bench.folder / "landing", database_url) as path:
        yield AtHand(
            database_url=database_url,
            ours=Ours(path, database_url),
            replacing=OursReplacing(path, database_url, rows),
            floor=RawCopy(api_url, database_url, rows),
            original=OriginalMethod(
                "the original (its own API, a model a row, INSERT)", original_url, database_url
            ),
            original_method=OriginalMethod(
                "the original's method, asking this project's API", api_url, database_url
            ),
            to_sql=ToSql(api_url, database_url),
        )


def ratios_of_those_at_hand(seconds: dict[str, Figure], at_hand: AtHand) -> list[Ratio]:
    """Hold those at hand against ours."""
    ours, replacing, floor = (seconds[one.name] for one in (at_hand.ours, at_hand.replacing, at_hand.floor))
    return [
        times_faster(seconds, at_hand.original, at_hand.ours, at_least=12),
        Ratio("this project / the floor", ours, floor, at_most=4),
        Ratio("replacing a loaded lot / a new lot", replacing, ours),
        times_faster(seconds, at_hand.original_method, at_hand.ours),
        times_faster(seconds, at_hand.to_sql, at_hand.ours),
    ]


def times_faster(
    seconds: dict[str, Figure], of: Contender, to: Contender, at_least: float | None = None
) -> Ratio:
    """Return how many times longer `of` takes than `to`."""
    return Ratio(f"{of.name} / {to.name}", seconds[of.name], seconds[to.name], at_least=at_least)
