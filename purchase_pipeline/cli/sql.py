"""The command that runs saved queries: `sql`."""

import csv
import sys

import click
from psycopg.errors import UndefinedTable
from rich.console import Console
from sqlalchemy.exc import ProgrammingError

from purchase_pipeline.cli.outcome import newest_settings, succeeds
from purchase_pipeline.ingest.printable import printable, sheet_cell
from purchase_pipeline.ops.queries import Answer, SavedQuery, ask, print_list, print_result, saved_queries
from purchase_pipeline.stack.database import database_in_use, database_url, reader_url

_HOW_TABLES_ARE_MADE = (
    "Lots make their tables when they are loaded: purchase-pipeline up. The sums of sales are made from them: "
    "purchase-pipeline report."
)


@click.command()
@click.argument("name", required=False)
@click.option("--show", is_flag=True, help="Print the SQL, and do not run it.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for scripts and sheets.")
@succeeds
def sql(*, name: str | None, show: bool, as_csv: bool) -> bool:
    """Run a saved query, or list them all.

    \b
    purchase-pipeline sql                           which questions there are
    purchase-pipeline sql revenue-by-month          the answer
    purchase-pipeline sql revenue-by-month --show   the SQL, to start from

    Runs as a role that can only read, in a transaction that can only read.
    """
    queries = saved_queries()
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
        print_result(_ask(queries[name]), Console())
    return True


def _cell(value: object) -> object:
    """Return a value as CSV has it: exact in a file or a pipe; on a terminal, without what would act on it."""
    cell = sheet_cell(value)
    return printable(cell) if isinstance(cell, str) and sys.stdout.isatty() else cell


def _ask(query: SavedQuery) -> Answer:
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
