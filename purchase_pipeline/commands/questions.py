"""Commands that tell how things stand: `status`."""

import click
from rich.console import Console

from purchase_pipeline.commands.outcome import newest_settings, succeeds


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@succeeds
def status(*, as_json: bool) -> bool:
    """Show what is loaded, rejected, failed and in flight.

    Rows are counted in the tables, lot by lot. Exit code 0 if received = loaded + rejected for every lot, else 1.
    """
    from purchase_pipeline.status import print_status, read_status  # noqa: PLC0415

    found = read_status(newest_settings())
    if as_json:
        click.echo(found.model_dump_json(indent=2))
    else:
        print_status(found, Console())
    return found.conserved
