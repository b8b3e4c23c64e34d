"""Feeds of docs/recipes.md: a CSV export of a million rows, and 240 months of statistics, compared with dlt."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import NamedTuple

from benchmarks.bench import a_server
from benchmarks.command import CommandFailedError, an_empty_home
from benchmarks.figures import Figure, Measured, Ratio
from benchmarks.memory import peak_mib
from purchase_pipeline_tests.documents import PROJECT
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.three_apis import exports_api, statistics_api

ROWS = 1_000_000
_POLL_SECONDS = 0.05

_NOTES = (
    "Each is a new process from its start to its end, imports included; CPU of PostgreSQL is not counted.",
    "One row in a hundred is bad. Ours is `purchase-pipeline ingest`: landing, contract, quarantine and ledger.",
    "The peers validate nothing, store texts, and skip rows with another number of cells.",
    "dlt's Arrow way loads CSV by COPY. Its statistics are one pipeline run without partitions.",
)


class _Ran(NamedTuple):
    """A process that has ended."""

    cpu_seconds: float
    peak_mib: float


def run(rounds: int, rows: int = ROWS) -> Measured:
    """Let all take turns in each round."""
    exported = {name: list[_Ran]() for name in ("ours", "dlt-dicts", "dlt-arrow", "io-manager")}
    months = {name: list[_Ran]() for name in ("ours", "dlt-months")}
    with (
        a_server() as (_, server),
        served(exports_api(rows), lifespan="off") as exports_url,
        served(statistics_api, lifespan="off") as statistics_url,
    ):
        urls = {"EXPORTS_URL": exports_url, "EXPORTS_KEY": "secret", "STATISTICS_API_URL": statistics_url}
        for number in range(rounds):
            for kind, url, feed in (
                (exported, exports_url, "exported_sales"),
                (months, statistics_url, "rates"),
            ):
                for name in (list(kind), list(kind)[::-1])[number % 2]:
                    ran = _ours(feed, urls) if name == "ours" else _peer(name, url, server.url("postgres"))
                    kind[name].append(ran)
    return Measured("feeds", *_results(exported, months, rows), _NOTES)


def _results(
    exported: dict[str, list[_Ran]], months: dict[str, list[_Ran]], rows: int
) -> tuple[list[Figure], list[Ratio]]:
    names = {
        "ours": "ours, with contract and quarantine",
        "dlt-dicts": "dlt, dicts",
        "dlt-arrow": "dlt, Arrow",
        "io-manager": "PostgresIOManager alone, Arrow",
    }
    cpu = {
        name: Figure(f"CSV export of {rows:,} rows: {names[name]}", "CPU s", [one.cpu_seconds for one in ran])
        for name, ran in exported.items()
    }
    peaks = [
        Figure(
            f"CSV export of {rows:,} rows: {names[name]}, peak memory",
            "MiB",
            [one.peak_mib for one in ran],
            at_most=200 if name == "ours" else None,
        )
        for name, ran in exported.items()
    ]
    ours, theirs = ([one.cpu_seconds for one in months[name]] for name in ("ours", "dlt-months"))
    figures = [
        *cpu.values(),
        *peaks,
        Figure("240 months of three series: ours, each month committed alone", "CPU s", ours, at_most=10),
        Figure("240 months of three series: dlt, one run", "CPU s", theirs),
    ]
    ratios = [
        Ratio("ours / dlt, Arrow", cpu["ours"], cpu["dlt-arrow"], at_most=1.5),
        Ratio("dlt, dicts / ours", cpu["dlt-dicts"], cpu["ours"]),
    ]
    return figures, ratios


def _ours(feed: str, environment: dict[str, str]) -> _Ran:
    with an_empty_home() as home:
        home.command("status")  # creates the database
        words = ["-m", "benchmarks.measured_feeds", "--feed", feed, "ingest"]
        command = [str(Path(sys.executable).parent / "purchase-pipeline"), *words]
        return _measured(command, PROJECT, {**home.environment, **environment})


def _peer(name: str, api_url: str, database_url: str) -> _Ran:
    with TemporaryDirectory(prefix="bench-") as folder:
        command = [sys.executable, "-m", "benchmarks.peers.feed_worker", name, api_url, database_url, folder]
        return _measured(command, PROJECT, dict(os.environ))


def _measured(command: list[str], folder: Path, environment: dict[str, str]) -> _Ran:
    """Run a process to its end.

    Raises:
        CommandFailedError: it failed.
    """
    with TemporaryDirectory(prefix="bench-") as logs, (Path(logs) / "log").open("w+b") as log:
        started = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        most_mib = 0.0
        while (ended := os.wait4(started.pid, os.WNOHANG))[0] == 0:
            most_mib = peak_mib(started.pid) or most_mib
            sleep(_POLL_SECONDS)
        _, status, used = ended
        started.returncode = os.waitstatus_to_exitcode(status)
        if started.returncode:
            log.seek(0)
            raise CommandFailedError(f"exit code {started.returncode}: {log.read()[-2000:].decode()}")
    return _Ran(used.ru_utime + used.ru_stime, most_mib)
