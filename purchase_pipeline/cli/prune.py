"""The `prune` command."""

import click
from rich.console import Console

from purchase_pipeline.cli.outcome import read_settings, succeeds


@click.command()
@click.option("--dry-run", is_flag=True, help="Only print how much would be deleted.")
@succeeds
def prune(*, dry_run: bool) -> bool:
    """Delete landed files, rejected rows and runs that are older than their retention.

    \b
    PURCHASE_LANDING_RETENTION_DAYS=90 purchase-pipeline prune --dry-run
    PURCHASE_RUN_RETENTION_DAYS=30 purchase-pipeline prune

    Each is kept for ever unless its setting says for how many days: PURCHASE_LANDING_RETENTION_DAYS,
    PURCHASE_QUARANTINE_RETENTION_DAYS, PURCHASE_RUN_RETENTION_DAYS. Only what belongs to loaded batches is deleted, and
    finished runs; never the table, the ledger, or the newest materialization of a batch. It can run while batches are
    loaded, and an interrupted one is continued by the next. With a retention set, Dagster runs it daily, too.
    """
    from purchase_pipeline.cli.feed import chosen_feed
    from purchase_pipeline.ops.prune import run_prune

    settings = read_settings()
    run_prune(chosen_feed(settings), settings, Console(), Console(stderr=True), dry_run=dry_run)
    return True
