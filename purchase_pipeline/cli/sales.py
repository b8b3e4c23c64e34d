"""The `report` command."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import click
from rich.console import Console

from purchase_pipeline.cli.outcome import read_settings, succeeds
from purchase_pipeline.sales.report import Language

_OPENING_SECONDS = 3.0


@click.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write a copy to this file (- for standard output).",
)
@click.option(
    "--lang",
    type=click.Choice(get_args(Language)),
    help="Open in Portuguese or English, whatever the reader's browser speaks.",
)
@click.option("--no-open", is_flag=True, help="Do not open it in a browser.")
@succeeds
def report(*, output: Path | None, lang: Language | None, no_open: bool) -> bool:
    """Update the sales report and open it.

    The report is one self-contained HTML file, in Portuguese and English; it opens in the browser's language, unless
    --lang names one. Dagster also updates it after batches are loaded. Exit code 1 if nothing is loaded or the update
    failed.

    \b
    purchase-pipeline report                        update it and open it
    purchase-pipeline report --output sales.html    update it and save a copy
    purchase-pipeline report --lang pt              open it in Portuguese
    """
    from purchase_pipeline.ops.sales_report import update_report

    console = Console(stderr=True)
    path = update_report(read_settings(), console, lang)
    if path is None:
        return False
    if output == Path("-"):
        click.echo(path.read_text(encoding="utf-8"))
        return True
    if output is not None:
        path = Path(shutil.copyfile(path, output)).absolute()
    click.echo(path)
    if not no_open and not _open(path):
        console.print("Could not open a browser. Open the file above in one.")
    return True


def _open(path: Path) -> bool:
    """Open a file as the desktop does, without what its opener prints; return whether that worked."""
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    try:
        opened = subprocess.Popen(
            [opener, path.as_uri()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return opened.wait(_OPENING_SECONDS) == 0
    except FileNotFoundError:
        return False
    except subprocess.TimeoutExpired:  # it is the browser itself
        return True
