"""Prune what is older than its retention, and print how much was freed."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Console
from rich.filesize import decimal

from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.feeds.pruning import Freed, Pruning
from purchase_pipeline.ingest.printable import quantity
from purchase_pipeline.ingest.retention import Retention
from purchase_pipeline.ops.lines import print_text
from purchase_pipeline.ops.pipeline import Pipeline
from purchase_pipeline.settings import Settings


def run_prune(feed: Feed, settings: Settings, console: Console, progress: Console, *, dry_run: bool) -> None:
    """Delete what is older than its retention; with `dry_run`, only print how much that is."""
    retention, run_days = feed.retention_in(settings), settings.run_retention_days
    freed = Freed()
    with Pipeline.open(feed, settings) as pipeline, progress.status("Pruning ...") as status:
        pruning = Pruning(feed, retention, run_days, dry_run=dry_run)
        for freed in pruning.freed(pipeline.ledger, pipeline.landing, pipeline.instance, datetime.now(UTC)):
            status.update(f"Pruning: {'; '.join(_amounts(freed))} ...")
    if dry_run:
        print_text(console, "Nothing was deleted. `purchase-pipeline prune` would delete:")
    for line in _lines(freed, retention, run_days):
        print_text(console, line)


def _lines(freed: Freed, retention: Retention, run_days: int | None) -> Iterator[str]:
    files, rows, history = _amounts(freed)
    yield _line("landed files", files, retention.landing_days, "PURCHASE_LANDING_RETENTION_DAYS")
    yield _line("rejected rows", rows, retention.quarantine_days, "PURCHASE_QUARANTINE_RETENTION_DAYS")
    yield _line("Dagster's runs", history, run_days, "PURCHASE_RUN_RETENTION_DAYS")


def _line(what: str, amount: str, days: int | None, setting: str) -> str:
    if days is None:
        return f"{what:15} kept for ever; {setting} is not set"
    return f"{what:15} {amount}; those of the last {quantity(days, 'day')} are kept"


def _amounts(freed: Freed) -> tuple[str, str, str]:
    return (
        f"{quantity(freed.files, 'file')}, {decimal(freed.file_bytes)}",
        f"{quantity(freed.rejected_rows, 'row')} of {quantity(freed.partitions_of_rejects, 'batch')}",
        f"{quantity(freed.runs, 'run')}, and the logs of {freed.logs:,} that the asset catalog shows",
    )
