"""The `sql` command."""

import csv
import sys

import click
from psycopg.errors import UndefinedTable
from rich.console import Console
from sqlalchemy.exc import ProgrammingError

from purchase_pipeline.cli.completion import query_names
from purchase_pipeline.cli.outcome import read_settings, succeeds
from purchase_pipeline.ingest.printable import printable, sheet_cell
from purchase_pipeline.ops.queries import (
    QueryResult,
    SavedQuery,
    print_queries,
    print_result,
    run_query,
    saved_queries,
)
from purchase_pipeline.stack.database import database_in_use, database_url, reader_url

_MISSING_TABLE_HINT = (
    "Load batches first (`purchase-pipeline up`); the sales tables are created by `purchase-pipeline report`."
)


@click.command()
@click.argument("name", required=False, shell_complete=query_names)
@click.option("--show", is_flag=True, help="Print the SQL instead of running it.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for scripts and spreadsheets.")
@succeeds
def sql(*, name: str | None, show: bool, as_csv: bool) -> bool:
    """Run a saved query, or list them all.

    \b
    purchase-pipeline sql                           list the saved queries
    purchase-pipeline sql revenue-by-month          run one
    purchase-pipeline sql revenue-by-month --show   print its SQL, to start from

    Queries run as a read-only role, in a read-only transaction.
    """
    queries = saved_queries()
    if name is None:
        print_queries(queries, Console())
    elif name not in queries:
        raise click.UsageError(f"Unknown query {name!r}; expected one of: {', '.join(queries)}.")
    elif show:
        click.echo(queries[name].sql)
    elif as_csv:
        result = _run(queries[name])
        rows = (map(_cell, row) for row in (result.columns, *result.rows))
        csv.writer(sys.stdout).writerows(rows)
    else:
        print_result(_run(queries[name]), Console())
    return True


def _cell(value: object) -> object:
    """Return a CSV cell: exact in a file or pipe, with control characters escaped on a terminal."""
    cell = sheet_cell(value)
    return printable(cell) if isinstance(cell, str) and sys.stdout.isatty() else cell


def _run(query: SavedQuery) -> QueryResult:
    settings = read_settings()
    with database_in_use(settings):
        try:
            return run_query(reader_url(settings) or database_url(settings), query)
        except ProgrammingError as error:
            if not isinstance(error.orig, UndefinedTable):
                raise
            raise click.ClickException(f"{error.orig.diag.message_primary}. {_MISSING_TABLE_HINT}") from error
