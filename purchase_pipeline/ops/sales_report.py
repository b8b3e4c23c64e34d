"""Marts and report made anew at once, in this process: what the automation does when its turn comes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from rich.console import Console

from purchase_pipeline.ingest.ledger import LEDGER, LotCount
from purchase_pipeline.ops.console import print_failure
from purchase_pipeline.ops.pipeline import Pipeline
from purchase_pipeline.ops.runs import consecutive, lot_runs
from purchase_pipeline.sales.tables import SALES_BY_LOT
from purchase_pipeline.settings import Settings


def fresh_report(settings: Settings, console: Console) -> Path | None:
    """Make marts and report anew, and return where the report is; None: nothing is loaded, or a run failed."""
    with Pipeline.open(settings) as pipeline:
        loaded = pipeline.backlog.loaded()
        if not loaded:
            console.print("No lot is loaded yet. Load some first: purchase-pipeline up")
            return None
        stale, begun = _stale_lots(pipeline.engine, loaded), datetime.now(UTC)
        with console.status(f"Summing up {len(stale)} lots, and making marts and report ..."):
            well = _run(pipeline, "sum_lots", consecutive(stale, settings.lote_names))
            well = well and _run(pipeline, "refresh_sales", [[]])
        if not well:
            _tell_why(pipeline, begun, console)
        return settings.report_file if well else None


def _stale_lots(engine: sa.Engine, loaded: Mapping[str, LotCount]) -> list[str]:
    """Return those of the loaded lots that were never summed up, or not since they were loaded last."""
    query = sa.select(LEDGER.c.partition, LEDGER.c.committed_at).where(LEDGER.c.asset == SALES_BY_LOT.name)
    with engine.connect() as connection:
        there = sa.inspect(connection).has_table(SALES_BY_LOT.name)
        summed = dict(map(tuple, connection.execute(query))) if there else {}
    return [lote for lote, lot in loaded.items() if lote not in summed or summed[lote] < lot.committed_at]


def _run(pipeline: Pipeline, job_name: str, runs: Iterable[Sequence[str]]) -> bool:
    """Run a job for some lots, then for the next, until one run fails."""
    with lot_runs(pipeline, job_name=job_name) as start_run:
        return all(start_run(lots).result() for lots in runs)


def _tell_why(pipeline: Pipeline, begun: datetime, console: Console) -> None:
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], created_after=begun)
    for record in pipeline.instance.get_run_records(failed):
        print_failure(console, pipeline.backlog.explain(record.dagster_run), "what was there before stays")
