"""The command about the sales report: `report`."""

import shutil
from pathlib import Path

import click
from rich.console import Console

from purchase_pipeline.cli.outcome import newest_settings, succeeds
from purchase_pipeline.ops.sales_report import fresh_report


@click.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write a copy to this file; - is standard output.",
)
@click.option("--no-open", is_flag=True, help="Do not open it in a browser.")
@succeeds
def report(*, output: Path | None, no_open: bool) -> bool:
    """Update the sales report and open it.

    One HTML file, in Portuguese and English, that needs no network: it can be mailed, printed and kept. Dagster makes
    it anew too, whenever lots were loaded. Exit code 1 if nothing is loaded, or it could not be made.

    \b
    purchase-pipeline report                        make it, and open it in the browser
    purchase-pipeline report --output sales.html    make it, and keep a copy
    """
    console = Console(stderr=True)
    made = fresh_report(newest_settings(), console)
    if made is None:
        return False
    if output == Path("-"):
        click.echo(made.read_text(encoding="utf-8"))
        return True
    if output is not None:
        made = Path(shutil.copyfile(made, output)).absolute()
    click.echo(made)
    if not no_open and click.launch(made.as_uri()) != 0:
        console.print("No browser is to be had here; open that file in one.")
    return True
