"""Read-only commands: `status`, `verify`, `metrics`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from purchase_pipeline.cli.addresses import PORT, checked_address
from purchase_pipeline.cli.completion import batch_names
from purchase_pipeline.cli.outcome import read_settings, succeeds
from purchase_pipeline.ingest.printable import printable_json
from purchase_pipeline.stack.ports import LOOPBACK

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
    against the ledger. A batch whose file was pruned is compared by counts and digest. Reasons worded by an earlier
    version are counted, but are no difference. Changes nothing. Exit code 0 if there are no differences; otherwise
    lists them and exits with 1. A batch that is being loaded at the moment may differ: run the command again.
    """
    from purchase_pipeline.cli.feed import chosen_feed, require_partition
    from purchase_pipeline.ops.verify import print_verified, verified_batches

    settings = read_settings()
    feed = chosen_feed(settings)
    # Progress goes to stderr: stdout may be JSON.
    found = verified_batches(feed, settings, lote, Console(stderr=True))
    if lote is not None and not any(batch.loaded or batch.rejected for batch in found):
        require_partition(feed, lote)
    if as_json:
        click.echo(printable_json([_as_json(batch) for batch in found], sys.stdout.encoding))
    else:
        print_verified(found, Console())
    return not any(batch.differences for batch in found)


def _as_json(batch: "VerifiedPartition") -> dict[str, object]:
    known = {
        "lote": batch.key,
        "loaded": batch.loaded,
        "rejected": batch.rejected,
        "differences": batch.differences,
        "reworded": batch.reworded,
    }
    pruned = {"file_pruned_at": batch.file_pruned_at, "rejects_pruned_at": batch.rejects_pruned_at}
    return known | {name: None if at is None else at.isoformat() for name, at in pruned.items()}


@click.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file, for node_exporter's textfile collector.",
)
@click.option("--serve", "port", type=PORT, metavar="PORT", help="Serve them over HTTP, until Ctrl-C.")
@click.option(
    "--host",
    callback=checked_address,
    default=LOOPBACK,
    show_default=True,
    help="IP address that --serve listens on.",
)
@succeeds
def metrics(*, output: Path | None, port: int | None, host: str) -> bool:
    """Print metrics for Prometheus, write them to a file, or serve them.

    \b
    purchase-pipeline metrics                       print them
    purchase-pipeline metrics --serve 9464          http://127.0.0.1:9464/metrics

    With -m, of all feeds of the module. Starts nothing: without a database the only metric is
    purchase_pipeline_database_up 0, and the exit code is still 0.
    """
    from purchase_pipeline import needs_extra

    with needs_extra("app", "The command `metrics`"):
        from prometheus_client import generate_latest

    from purchase_pipeline.cli.feed import chosen_feeds
    from purchase_pipeline.ops.metrics import open_registry, serve_metrics, write_metrics

    if output is not None and port is not None:
        raise click.UsageError("Use either --output or --serve.")
    settings = read_settings()
    with open_registry(chosen_feeds(settings), settings) as registry:
        if port is not None:
            serve_metrics(registry, settings, host, port)
        elif output is not None:
            write_metrics(registry, output)
        else:
            click.echo(generate_latest(registry).decode(), nl=False)
    return True
