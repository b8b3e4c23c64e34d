"""Commands about what the purchases add up to: `report`, `sql`."""

import csv
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from psycopg.errors import UndefinedTable
from rich.console import Console
from sqlalchemy.exc import ProgrammingError

from purchase_pipeline.cli.outcome import newest_settings, succeeds
from purchase_pipeline.ingest.printable import printable, sheet_cell

if TYPE_CHECKING:
    from purchase_pipeline.ops.queries import Answer, ReadyQuery

_HOW_TABLES_ARE_MADE = (
    "Lots make their tables when they are loaded: purchase-pipeline up. The sums of sales are made from them: "
    "purchase-pipeline report."
)


@click.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write a copy to this file; - is standard output.",
)
@click.option("--no-open", is_flag=True, help="Do not open it in a browser.")
@succeeds
def report(*, output: Path | None, no_open: bool) -> bool:
    """Make the sales report anew, and open it.

    One HTML file, in Portuguese and English, that needs no network: it can be mailed, printed and kept. Dagster makes
    it anew too, whenever lots were loaded. Exit code 1 if nothing is loaded, or it could not be made.

    \b
    purchase-pipeline report                        make it, and open it in the browser
    purchase-pipeline report --output sales.html    make it, and keep a copy
    """
    from purchase_pipeline.ops.sales_report import fresh_report  # noqa: PLC0415

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


@click.command()
@click.argument("name", required=False)
@click.option("--show", is_flag=True, help="Print the SQL, and do not run it.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for scripts and sheets.")
@succeeds
def sql(*, name: str | None, show: bool, as_csv: bool) -> bool:
    """Answer a ready question about the tables, or list them all.

    \b
    purchase-pipeline sql                           which questions there are
    purchase-pipeline sql revenue-by-month          the answer
    purchase-pipeline sql revenue-by-month --show   the SQL, to start from

    Runs as a role that can only read, in a transaction that can only read.
    """
    from purchase_pipeline.ops.queries import print_answer, print_list, ready_queries  # noqa: PLC0415

    queries = ready_queries()
    if name is None:
        print_list(queries, Console())
    elif name not in queries:
        raise click.UsageError(f"There is no query {name!r}. There are: {', '.join(queries)}.")
    elif show:
        click.echo(queries[name].sql)
    elif as_csv:
        answer = _ask(queries[name])
        rows = (map(_cell, row) for row in (answer.columns, *answer.rows))
        csv.writer(sys.stdout).writerows(rows)
    else:
        print_answer(_ask(queries[name]), Console())
    return True


def _cell(value: object) -> object:
    """Return a value as CSV has it: exact in a file or a pipe; on a terminal, without what would act on it."""
    cell = sheet_cell(value)
    return printable(cell) if isinstance(cell, str) and sys.stdout.isatty() else cell


def _ask(query: "ReadyQuery") -> "Answer":
    from purchase_pipeline.ops.queries import ask  # noqa: PLC0415
    from purchase_pipeline.stack.database import database_in_use, database_url, reader_url  # noqa: PLC0415

    settings = newest_settings()
    with database_in_use(settings):
        try:
            return ask(reader_url(settings) or database_url(settings), query)
        except ProgrammingError as error:
            if not isinstance(error.orig, UndefinedTable):
                raise
            raise click.ClickException(
                f"{error.orig.diag.message_primary}. {_HOW_TABLES_ARE_MADE}"
            ) from error
