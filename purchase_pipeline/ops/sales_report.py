"""Update marts and report in this process, without waiting for the automation."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from rich.console import Console

from purchase_pipeline.definitions import build_definitions
from purchase_pipeline.ingest.ledger import LEDGER, LoadedPartition
from purchase_pipeline.ingest.printable import quantity
from purchase_pipeline.ops.failures import print_failure
from purchase_pipeline.ops.lines import print_text
from purchase_pipeline.ops.pipeline import Pipeline
from purchase_pipeline.ops.runs import consecutive, job_runs
from purchase_pipeline.ops.summary import program
from purchase_pipeline.purchases import purchases
from purchase_pipeline.sales.marts import MARTS
from purchase_pipeline.sales.report import Language
from purchase_pipeline.sales.report.file import ReportFile
from purchase_pipeline.sales.tables import SALES_BY_LOT
from purchase_pipeline.settings import Settings

_FROM_SUMS = [*(mart.table.name for mart in MARTS), "sales_report"]


def update_report(settings: Settings, console: Console, language: Language | None = None) -> Path | None:
    """Update marts and report, and return the report's path; None if nothing is loaded or a run failed.

    With a language, the report opens in it until the next update.
    """
    with Pipeline.open(purchases(settings), settings) as pipeline:
        loaded = pipeline.backlog.loaded()
        if not loaded:
            print_text(console, f"No batches loaded yet. Load some first: {program()} up")
            return None
        stale, begun = _stale_lots(pipeline.engine, loaded), datetime.now(UTC)
        with console.status(f"Aggregating {quantity(len(stale), 'batch')}, updating marts and report ..."):
            assets = build_definitions(settings).resolve_implicit_global_asset_job_def()
            succeeded = _run(pipeline, assets, [SALES_BY_LOT.name], consecutive(stale, settings.lote_names))
            succeeded = succeeded and _run(pipeline, assets, _FROM_SUMS, [[]])
        if not succeeded:
            _print_failures(pipeline, begun, console)
        elif language:
            ReportFile(pipeline.engine, settings.report_file).write(language)
        return settings.report_file if succeeded else None


def _stale_lots(engine: sa.Engine, loaded: Mapping[str, LoadedPartition]) -> list[str]:
    """Return the loaded batches that have not been aggregated since they were last loaded."""
    query = sa.select(LEDGER.c.partition, LEDGER.c.committed_at).where(LEDGER.c.asset == SALES_BY_LOT.name)
    with engine.connect() as connection:
        exists = sa.inspect(connection).has_table(SALES_BY_LOT.name)
        known = dict(map(tuple, connection.execute(query))) if exists else {}
    return [key for key, lot in loaded.items() if key not in known or known[key] < lot.committed_at]


def _run(
    pipeline: Pipeline, job: dg.JobDefinition, assets: Sequence[str], runs: Iterable[Sequence[str]]
) -> bool:
    """Materialize assets for each group of batches; stop at the first run that fails."""
    with job_runs(pipeline, job, assets) as start_run:
        return all(start_run(lots).result() for lots in runs)


def _print_failures(pipeline: Pipeline, begun: datetime, console: Console) -> None:
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], created_after=begun)
    for record in pipeline.instance.get_run_records(failed):
        print_failure(console, pipeline.backlog.explain(record.dagster_run), "the previous report is kept")
