"""Commands that tell how things stand, and change nothing: `status`, `verify`."""

import sys

import click
from rich.console import Console

from purchase_pipeline.cli.outcome import newest_settings, succeeds
from purchase_pipeline.ingest.printable import printable_json
from purchase_pipeline.ops.status import print_status, read_status
from purchase_pipeline.ops.verify import print_verified, verified_lots


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@succeeds
def status(*, as_json: bool) -> bool:
    """Show loaded, rejected, failed and in-progress batches.

    Rows are counted in the tables, lot by lot. Exit code 0 if received = loaded + rejected for every lot, else 1.
    """
    settings = newest_settings()
    found = read_status(settings)
    if as_json:
        click.echo(printable_json(found.model_dump(mode="json"), sys.stdout.encoding))
    else:
        print_status(found, Console())
    return found.conserved


@click.command()
@click.option("--lote", help="One lot alone.  [default: every lot in the database]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@succeeds
def verify(*, lote: str | None, as_json: bool) -> bool:
    """Compare every batch with its landed file.

    Row by row, and with the ledger: counts, digests, gaps, doubles, and each value: the file is validated by the
    contract again, and must give the rows that are there. Reads only. Exit code 0 if there is no difference, else 1,
    with each difference. A lot that is being loaded meanwhile may differ: ask again.
    """
    # What is printed beside JSON would be in the way of a script.
    found = verified_lots(newest_settings(), lote, Console(stderr=True))
    if as_json:
        click.echo(printable_json([lot._asdict() for lot in found], sys.stdout.encoding))
    else:
        print_verified(found, Console())
    return not any(lot.differences for lot in found)
