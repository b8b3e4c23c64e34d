"""The ready queries, asked: which there are, and what they find."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from purchase_pipeline.ingest.printable import in_brief
from purchase_pipeline.postgres.connections import engine_for


class SavedQuery(NamedTuple):
    """A query with a name, and what it tells."""

    name: str
    purpose: str
    sql: str


class Answer(NamedTuple):
    """What a query found."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def saved_queries() -> dict[str, SavedQuery]:
    """Return the ready queries by name."""
    folder = files("purchase_pipeline.ops.saved_queries")
    texts = {
        entry.name.removesuffix(".sql"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    }
    return {name: _of_file(name, text) for name, text in sorted(texts.items())}


def _of_file(name: str, text: str) -> SavedQuery:
    purpose, _, sql = text.partition("\n")
    return SavedQuery(name, purpose.removeprefix("-- "), sql.strip())


def ask(url: str, query: SavedQuery) -> Answer:
    """Run a query in a transaction that can only read.

    Raises:
        sqlalchemy.exc.ProgrammingError: a table that it reads is not there.
    """
    with engine_for(url).connect().execution_options(postgresql_readonly=True) as connection:
        result = connection.exec_driver_sql(query.sql)
        return Answer(list(result.keys()), [tuple(row) for row in result])


def print_list(queries: dict[str, SavedQuery], console: Console) -> None:
    """Print which queries there are."""
    table = Table("name", "what it tells", box=None, pad_edge=False)
    for query in queries.values():
        table.add_row(f"[bold]{query.name}[/]", query.purpose)
    console.print(table)


def print_result(answer: Answer, console: Console) -> None:
    """Print an answer as a table, numbers to the right."""
    table = Table(*answer.columns)
    for column, values in zip(table.columns, zip(*answer.rows, strict=True), strict=False):
        if all(isinstance(value, int | Decimal | None) and not isinstance(value, bool) for value in values):
            column.justify = "right"
    for row in answer.rows:
        table.add_row(*("" if value is None else Text(in_brief(_shown(value))) for value in row))
    console.print(table)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, Decimal):
        return f"{value:,}"
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)
