"""Commands that look at the tables: `sql`, `psql`."""

import os
import re
import stat
import sys

import click
from rich.console import Console

from purchase_pipeline.cli.completion import query_names
from purchase_pipeline.cli.outcome import read_settings, succeeds
from purchase_pipeline.ops.json_rows import load_json, write_json
from purchase_pipeline.ops.psql import run_psql
from purchase_pipeline.ops.queries import SavedQuery, print_queries, saved_queries
from purchase_pipeline.ops.rows import MOST_SHOWN, load_text, print_rows, write_csv
from purchase_pipeline.ops.statement import result_of
from purchase_pipeline.stack.database import database_in_use, database_url, reader_url

_EXAMPLE = 'purchase-pipeline sql "select count(*) from tabela_compras"'


@click.command()
@click.argument("query", nargs=-1, shell_complete=query_names, metavar="[NAME | STATEMENT | -]")
@click.option("--show", is_flag=True, help="Print the SQL of a saved query instead of running it.")
@click.option("--csv", "as_csv", is_flag=True, help="Print all rows as CSV, for scripts and spreadsheets.")
@click.option("--json", "as_json", is_flag=True, help="Print all rows as a JSON array, one row a line.")
@click.option(
    "--timeout", type=click.FloatRange(0, 86_400), default=0.0, help="Cancel after this many seconds."
)
@succeeds
def sql(*, query: tuple[str, ...], show: bool, as_csv: bool, as_json: bool, timeout: float) -> bool:
    """Run a saved query or a statement, or list the saved queries.

    \b
    purchase-pipeline sql                           list the saved queries
    purchase-pipeline sql revenue-by-month          run one
    purchase-pipeline sql revenue-by-month --show   print its SQL, to start from
    purchase-pipeline sql "select * from tabela_compras limit 9"
    purchase-pipeline sql --csv < query.sql         read a file, or a pipe (-)

    A single word is a name, anything else a statement. It runs as a read-only role, in a read-only transaction. Ctrl-C
    cancels it. --csv and --json print values exactly, as they arrive; without them the first rows are shown.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json are mutually exclusive.")
    queries = saved_queries()
    text = _text(query)
    if text is None:
        print_queries(queries, Console())
    elif show:
        click.echo(_named(text, queries).sql)
    else:
        statement = text if _is_statement(text) else _named(text, queries).sql
        _run(statement, as_csv=as_csv, as_json=as_json, timeout=timeout)
    return True


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENTS OF PSQL]...")
@click.pass_context
@succeeds
def psql(context: click.Context, /, arguments: tuple[str, ...]) -> bool:
    """Open psql on the database in use, as a role that only reads.

    \b
    purchase-pipeline psql                          \\d lists the tables, \\q leaves
    purchase-pipeline psql -c '\\d tabela_compras'   one command, then leave
    purchase-pipeline psql -f query.sql
    purchase-pipeline psql -U purchase_loader       as the tables' owner

    All arguments go to psql (`-?` lists them), and its exit code is the command's. Starts the embedded server if
    it is not running, and stops it afterwards. On your own server, psql connects as DATABASE_URL's user, in read-only
    transactions.
    """
    if arguments == ("--help",):
        click.echo(context.get_help())
        return True
    sys.exit(run_psql(read_settings(), arguments))


def _text(query: tuple[str, ...]) -> str | None:
    """Return the name or statement that is given; None if there is none."""
    if len(query) > 1:
        raise click.UsageError(
            f"Expected one name or statement, got {len(query)} words. Quote the statement: {_EXAMPLE}"
        )
    if query and query[0] != "-":
        return query[0]
    if not query and not _has_input():
        return None
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"Standard input is not valid UTF-8: {error.reason}.") from error
    # A pipe that nobody writes to is what a service manager or a CI job has.
    return f"{text}\n" if query or text.strip() else None


def _has_input() -> bool:
    """Return whether standard input is a file or a pipe: not a terminal, and not /dev/null."""
    mode = os.fstat(0).st_mode
    return stat.S_ISREG(mode) or stat.S_ISFIFO(mode)


def _is_statement(text: str) -> bool:
    if text.lstrip().startswith("\\"):
        raise click.UsageError("Commands that start with \\ are psql's own: purchase-pipeline psql -c '\\d'")
    return re.fullmatch(r"[\w-]+", text) is None


def _named(name: str, queries: dict[str, SavedQuery]) -> SavedQuery:
    if name not in queries:
        raise click.UsageError(
            f"Unknown query {name!r}; expected one of: {', '.join(queries)}. A statement has more than one word: "
            f"{_EXAMPLE}"
        )
    return queries[name]


def _run(statement: str, *, as_csv: bool, as_json: bool, timeout: float) -> None:
    settings = read_settings()
    load = load_json if as_json else load_text
    with database_in_use(settings):
        url = reader_url(settings) or database_url(settings)
        with result_of(url, statement, load, timeout) as result:
            if as_json:
                write_json(result, sys.stdout)
            elif as_csv:
                write_csv(result, sys.stdout)
            elif not print_rows(result, Console()):
                click.echo(f"These are the first {MOST_SHOWN} rows. For all: --csv or --json.", err=True)
