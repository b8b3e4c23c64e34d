"""One batch of 10,000 rows, from the HTTP request to the commit: this project and other methods."""

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
from benchmarks.served_apis import original_api

ROWS = 10_000
_NOTES = (
    "Seconds from the request to the commit of the same 10,000 rows, one line per method.",
    "This project stores the response on disk, validates each row strictly, and commits two tables and a ledger.",
    "The original's method checks types; the others parse dates at most.",
    "All but dlt load into the same table with the same primary key; dlt creates its own table, without a key.",
    "The original's API generates each row on request, with Faker; methods that do not name it use this project's API.",
    "The floor starts with a CSV in memory and an open connection.",
)


def run(rounds: int) -> Measured:
    """Let all methods take turns."""
    from benchmarks.peers.adbc import AdbcIngest  # noqa: PLC0415  # in the bench lock, not needed by `quick`
    from benchmarks.peers.dlt_pipelines import dlt_default, dlt_fast  # noqa: PLC0415

    with a_bench() as bench, original_api() as original_url, base_contenders(bench, original_url) as base:
        where = (base.database_url, bench.folder)
        dlt_whole = dlt_default("dlt, default, with the original's API", original_url, *where, "dlt_whole")
        others: list[Contender] = [
            dlt_default("dlt, default (types inferred)", bench.api_url, *where, "dlt_default"),
            *dlt_fast(bench.api_url, *where),
            *to_sql_variants(bench.api_url, base.database_url),
            AdbcIngest(bench.api_url, base.database_url),
        ]
        seconds = take_turns([*base.contenders, dlt_whole, *others], rounds, ROWS)
    ratios = [
        *base_ratios(seconds, base),
        times_faster(seconds, dlt_whole, base.ours, at_least=15),
        *(times_faster(seconds, one, base.ours) for one in others),
    ]
    return Measured("data_path", list(seconds.values()), ratios, _NOTES)


@dataclass(frozen=True)
class BaseContenders:
    """The contenders that need only the development lock, and their database."""

    database_url: str
    ours: Ours
    replacing: OursReplacing
    floor: RawCopy
    original: OriginalMethod
    original_method: OriginalMethod
    to_sql: ToSql

    @property
    def contenders(self) -> list[Contender]:
        """All of them, this project first."""
        return [self.ours, self.replacing, self.floor, self.original, self.original_method, self.to_sql]


@contextmanager
def base_contenders(bench: Bench, original_url: str, rows: int = ROWS) -> Iterator[BaseContenders]:
    """Create the tables and open this project's data path."""
    api_url, database_url = bench.api_url, bench.database("data_path")
    make_tables(database_url)
    with our_path(api_url, bench.folder / "landing", database_url) as path:
        yield BaseContenders(
            database_url,
            Ours(path, database_url),
            OursReplacing(path, database_url, rows),
            RawCopy(api_url, database_url, rows),
            OriginalMethod(
                "the original (its own API, one model per row, INSERT)", original_url, database_url
            ),
            OriginalMethod("the original's method, with this project's API", api_url, database_url),
            ToSql(api_url, database_url),
        )


def base_ratios(seconds: dict[str, Figure], base: BaseContenders) -> list[Ratio]:
    """Return the ratios of the base contenders to this project."""
    ours, replacing, floor = (seconds[one.name] for one in (base.ours, base.replacing, base.floor))
    return [
        times_faster(seconds, base.original, base.ours, at_least=12),
        Ratio("this project / the floor", ours, floor, at_most=4),
        Ratio("replacing a loaded batch / a new batch", replacing, ours),
        times_faster(seconds, base.original_method, base.ours),
        times_faster(seconds, base.to_sql, base.ours),
    ]


def times_faster(
    seconds: dict[str, Figure], of: Contender, to: Contender, at_least: float | None = None
) -> Ratio:
    """Return the ratio of the times of `of` and `to`."""
    return Ratio(f"{of.name} / {to.name}", seconds[of.name], seconds[to.name], at_least=at_least)
