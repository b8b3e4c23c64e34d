"""A campaign on several hosts, of which some are struck; and what it came to."""

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME
from purchase_pipeline_tests.waiting import wait_until
from resilience.drills.content import lost_and_doubled
from resilience.hosts import faults
from resilience.hosts.cluster import Cluster, cluster
from resilience.hosts.costs import Costs, Meter

_LONGEST_SECONDS = 900
FAULTS: Mapping[str, Callable[[Cluster], float]] = {
    "a worker host lost during a batch: cable out, all processes killed": faults.lose_a_worker_host,
    f"the database host's cable out for {faults.CUT_SECONDS:.0f} s": faults.cut_the_database_off,
    "the broker killed, back after 10 s": faults.kill_the_broker,
}
_LOADED = "SELECT count(*) FROM slice_ledger WHERE asset = 'tabela_compras'"
_RUNS = "SELECT count(*) FROM runs WHERE pipeline_name = 'ingest_lote'"


class Report(BaseModel, frozen=True):
    """What a campaign came to: seconds, and rows over all lots."""

    workers: int
    lots: int
    rows: int
    seconds: float
    lost: int
    doubled: int
    runs: int
    recovered: dict[str, float]
    verified: str
    costs: Costs

    @property
    def clean(self) -> bool:
        """Whether every row is there once, and `verify` found no difference."""
        return self.lost == self.doubled == 0 and "no difference" in self.verified


def campaign(workers: int, lots: int, rows: int, *, every: float, with_faults: bool) -> Report:
    """Load a lot every so many seconds on so many workers' hosts, and strike them at equal distances if asked to.

    Struck, there are to be lots left to strike.

    Raises:
        HostsNotPossibleError: this machine makes no network namespaces.
        NotInTimeError: the campaign, or what was struck, did not come to its end.
    """
    settings = {
        "PURCHASE_LOTS": str(lots),
        "PURCHASE_ROWS": str(rows),
        "PURCHASE_EVERY": str(every),
        "MOCK_API_DEFECTS": "0.01",
    }
    with (
        tempfile.TemporaryDirectory(prefix="hosts-") as folder,
        cluster(Path(folder), workers, settings) as hosts,
    ):
        wait_until(lambda: _loaded(hosts) >= workers, "the first lots", _LONGEST_SECONDS)
        before, recovered = Meter.read(hosts), dict[str, float]()
        for number, (name, strike) in enumerate(FAULTS.items() if with_faults else (), start=1):
            due = number * lots // (len(FAULTS) + 2)
            wait_until(partial(_has_loaded, hosts, due), f"{due} lots", _LONGEST_SECONDS)
            recovered[name] = round(strike(hosts), 1)
            print(f"{_loaded(hosts)} of {lots} lots loaded; {name}: {recovered[name]} s", flush=True)
        wait_until(partial(_has_loaded, hosts, lots), "all lots", _LONGEST_SECONDS)
        after = Meter.read(hosts)
        lost, doubled = lost_and_doubled(hosts.ask, lots, rows)
        return Report(
            workers=workers,
            lots=lots,
            rows=rows,
            seconds=round(after.at - before.at, 1),
            lost=lost,
            doubled=doubled,
            runs=hosts.ask(_RUNS, database=DAGSTER_DATABASE_NAME)[0][0],
            recovered=recovered,
            verified=_last_line(hosts.command("verify").stdout),
            costs=after.since(before),
        )


def _has_loaded(hosts: Cluster, lots: int) -> bool:
    return _loaded(hosts) >= lots


def _loaded(hosts: Cluster) -> int:
    return int(next((count for (count,) in hosts.ask(_LOADED)), 0))


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]
