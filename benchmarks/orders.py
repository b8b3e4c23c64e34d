"""One batch of 10,000 realistic orders, from the HTTP request to the commit, in a cold process, compared with peers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.bench import a_server
from benchmarks.contenders import RowsMissingError
from benchmarks.data_sets import ROWS
from benchmarks.figures import Figure, Measured, Ratio
from benchmarks.order_contenders import (
    Contender,
    Costs,
    load_in_new_process,
    make_tables,
    require_same_rows,
)
from benchmarks.orders_api import INVALID, REALISTIC
from benchmarks.served_apis import orders_api

OURS = Contender("ours", "this project")
PYDANTIC = Contender("pydantic", "pydantic by hand and COPY")
_CONTENDERS = (
    OURS,
    PYDANTIC,
    Contender("msgspec", "msgspec and COPY"),
    Contender("pandera", "pandera on polars and ADBC", accepts_invalid=20),
    Contender("dlt", "dlt with its pydantic contract"),
    Contender("duckdb", "DuckDB and COPY (no validation)", validates=False),
    Contender("polars", "polars and COPY (no validation)", validates=False),
    Contender("adbc", "Arrow's JSON reader and ADBC (no validation)", validates=False),
)
_SETS = {REALISTIC: "realistic", INVALID: "1 % invalid"}
_INVALID_ROWS = {REALISTIC: 0, INVALID: ROWS // 100}
_NOTES = (
    "Each batch is the first of a new process: only imports are done before, this project's as by its fork server.",
    "CPU is that of all threads of the process, not of PostgreSQL or the API, which sends bytes encoded beforehand.",
    "This project lands the response on disk, and commits two tables and a ledger; Dagster's run is not included.",
    "The others keep rejected rows in memory or, dlt, drop them.",
    "The stored values are compared with this project's once.",
    "All but dlt load into the same table with the same primary key; dlt stores UUIDs and moments as text.",
    "polars reads a number as text, so pandera accepts a fifth of the invalid rows, whose name is a number.",
    "DuckDB downloads its extension for PostgreSQL when it is first used, so it writes CSV.",
    "sling is missing: its package downloads the program itself.",
)

_Key = tuple[str, str]


def run(rounds: int) -> Measured:
    """Let all contenders take turns with each data set, in rotating order."""
    costs = defaultdict[_Key, list[Costs]](list)
    with a_server() as (_, server), orders_api() as api_url:
        database_url = server.url("postgres")
        for number in range(rounds + 1):  # the first is not counted: it fills the caches of files
            first = number % len(_CONTENDERS)
            for contender in (*_CONTENDERS[first:], *_CONTENDERS[:first]):
                for partition in _SETS if contender.validates else (REALISTIC,):
                    cost = _load(contender, api_url, database_url, partition)
                    if number:
                        costs[contender.name, partition].append(cost)
                    else:
                        require_same_rows(database_url, contender, partition, _INVALID_ROWS[partition])
    return Measured("orders", *_results(costs), _NOTES)


def _load(contender: Contender, api_url: str, database_url: str, partition: str) -> Costs:
    make_tables(database_url)
    cost = load_in_new_process(contender, api_url, database_url, partition)
    rejected = _INVALID_ROWS[partition] * (100 - contender.accepts_invalid) // 100
    if cost.stored != ROWS - rejected or cost.rejected not in (rejected, None):
        raise RowsMissingError(
            f"{contender.label} reports {cost} of {partition}, not {rejected} rejected rows."
        )
    return cost


def _results(costs: Mapping[_Key, Sequence[Costs]]) -> tuple[list[Figure], list[Ratio]]:
    cpu, wall, peaks = dict[_Key, Figure](), dict[_Key, Figure](), list[Figure]()
    for partition, data_set in _SETS.items():
        for contender in _CONTENDERS:
            if found := costs.get(key := (contender.name, partition)):
                name = f"{data_set}: {contender.label}"
                cpu[key] = Figure(f"{name}, CPU", "s", [one.cpu_seconds for one in found])
                wall[key] = Figure(f"{name}, elapsed", "s", [one.seconds for one in found])
                if partition == REALISTIC:
                    peaks.append(
                        Figure(f"{contender.label}, peak memory", "MiB", [one.peak_mib for one in found])
                    )
    ratios = [
        *_ratios("CPU", cpu, at_least=1.5, at_most=1.5),
        *_ratios("elapsed", wall, at_least=None, at_most=None),
    ]
    return [*cpu.values(), *wall.values(), *peaks], ratios


def _ratios(
    what: str, figures: Mapping[_Key, Figure], *, at_least: float | None, at_most: float | None
) -> list[Ratio]:
    others = [contender for contender in _CONTENDERS if not contender.validates]
    fastest = min(others, key=lambda contender: median(figures[contender.name, REALISTIC].values))
    return [
        *(
            Ratio(
                f"{data_set}, {what}: {contender.label} / {OURS.label}",
                figures[contender.name, partition],
                figures[OURS.name, partition],
                at_least=at_least,
            )
            for partition, data_set in _SETS.items()
            for contender in _CONTENDERS
            if contender.validates and contender is not OURS
        ),
        Ratio(
            f"{_SETS[REALISTIC]}, {what}: {OURS.label} / the fastest, {fastest.label}",
            figures[OURS.name, REALISTIC],
            figures[fastest.name, REALISTIC],
            at_most=at_most,
        ),
    ]
