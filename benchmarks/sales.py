"""Marts and report of 500,000 purchases: from scratch, and after one more batch."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from benchmarks.bench import a_bench
from benchmarks.big_tables import LOT_ROWS, settle
from benchmarks.figures import Figure, Measured, Ratio
from benchmarks.ours import our_path
from benchmarks.same_table import make_tables
from purchase_pipeline.postgres import PostgresIOManager
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.sales.assets import sales_marts, sums
from purchase_pipeline.sales.report.file import ReportFile
from purchase_pipeline.settings import current_settings

LOTS = 50

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

_ALL, _ONE, _MARTS, _REPORT = (
    "all batches aggregated",
    "one batch aggregated",
    "eight marts updated",
    "report written",
)
_NOTES = (
    "All but the report include the overhead of a Dagster run.",
    "The server has default settings, with a `work_mem` of 4 MB.",
    "The first report, which imports the charting library, is not counted.",
)


def run(rounds: int, lots: int = LOTS) -> Measured:
    """Load the batches, then update marts and report in each round."""
    seconds = defaultdict[str, list[float]](list)
    with a_bench() as bench, dg.DagsterInstance.ephemeral() as instance:
        database_url = bench.database("sales")
        names = _loaded(bench.api_url, bench.folder / "landing", database_url, lots)
        report = ReportFile(engine_for(database_url), bench.folder / "report.html")
        resources = {"io_manager": PostgresIOManager(database_url=database_url)}

        def made(asset: dg.AssetsDefinition, first: str = "", last: str = "") -> Callable[[], object]:
            ends = {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}
            tags = ends if first else None
            return lambda: dg.materialize(
                [asset], run_config=_QUIET, instance=instance, resources=resources, tags=tags
            )

        of_lots = sums(dg.StaticPartitionsDefinition(names))
        steps = {
            _ALL: made(of_lots, names[0], names[-1]),
            _ONE: made(of_lots, names[-1], names[-1]),
            _MARTS: made(sales_marts),
            _REPORT: report.write,
        }
        for number in range(rounds + 1):  # the first is not counted
            for what, step in steps.items():
                started = perf_counter()
                step()
                seconds[what] += [perf_counter() - started] if number else []
    figures = {what: Figure(what, "s", values) for what, values in seconds.items()}
    ratio = Ratio("one batch aggregated / all batches", figures[_ONE], figures[_ALL], at_most=0.5)
    return Measured("sales", list(figures.values()), [ratio], _NOTES)


def _loaded(api_url: str, landing: Path, database_url: str, lots: int) -> list[str]:
    """Load the batches, and return their keys."""
    make_tables(database_url)
    names = current_settings().lote_names[:lots]
    with our_path(api_url, landing, database_url) as path:
        for lote in names:
            path.load(lote, rows=LOT_ROWS)
    settle(database_url)
    return names
