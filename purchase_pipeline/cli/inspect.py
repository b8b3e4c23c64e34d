"""Read-only commands: `status`, `verify`."""

import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console

from purchase_pipeline.cli.completion import batch_names
from purchase_pipeline.cli.outcome import read_settings, succeeds
from purchase_pipeline.ingest.printable import printable_json

if TYPE_CHECKING:
    from purchase_pipeline.ingest.reconciliation import VerifiedPartition


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@succeeds
def status(*, as_json: bool) -> bool:
    """Show loaded, rejected, failed and in-progress batches.

    \b
    purchase-pipeline status                        a line for each batch
    purchase-pipeline status --json | jq .failed    for scripts

    Rows are counted in the tables, batch by batch. Exit code 0 if received = loaded + rejected for every batch, else 1.
    """
    from purchase_pipeline.cli.feed import chosen_feed
    from purchase_pipeline.ops.status import print_status, read_status

    settings = read_settings()
    found = read_status(chosen_feed(settings), settings)
    if as_json:
        click.echo(printable_json(found.model_dump(mode="json"), sys.stdout.encoding))
    else:
        print_status(found, Console())
    return found.conserved


@click.command()
@click.option(
    "--lote", shell_complete=batch_names, help="Only this batch.  [default: every batch in the database]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@succeeds
def verify(*, lote: str | None, as_json: bool) -> bool:
    """Compare every batch with its landed file.

    \b
    purchase-pipeline verify                        every batch
    purchase-pipeline verify --lote lote-0007       one batch

    Revalidates the file and compares every row and value with the tables; checks counts, digests, gaps and duplicates
    against the ledger. Changes nothing. Exit code 0 if there are no differences; otherwise lists them and exits with 1.
    Reasons worded by an earlier version are counted, but are no difference. A batch that is being loaded at the moment
    may differ: run the command again.
    """
    from purchase_pipeline.cli.feed import chosen_feed
    from purchase_pipeline.ops.verify import print_verified, verified_batches

    settings = read_settings()
    # Progress goes to stderr: stdout may be JSON.
    found = verified_batches(chosen_feed(settings), settings, lote, Console(stderr=True))
    if as_json:
        click.echo(printable_json([_as_json(batch) for batch in found], sys.stdout.encoding))
    else:
        print_verified(found, Console())
    return not any(batch.differences for batch in found)


def _as_json(batch: "VerifiedPartition") -> dict[str, object]:
    key, *found = batch
    return {"lote": key, **dict(zip(batch._fields[1:], found, strict=True))}
