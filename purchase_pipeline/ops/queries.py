"""Saved queries: list, run and print them."""

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
    """A named query with its description."""

    name: str
    description: str
    sql: str


class QueryResult(NamedTuple):
    """The columns and rows of a query."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def saved_queries() -> dict[str, SavedQuery]:
    """Return the saved queries by name."""
    folder = files("purchase_pipeline.sales.saved_queries")
    texts = {
        entry.name.removesuffix(".sql"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    }
    return {name: _parse(name, text) for name, text in sorted(texts.items())}


def _parse(name: str, text: str) -> SavedQuery:
    description, _, sql = text.partition("\n")
    return SavedQuery(name, description.removeprefix("-- "), sql.strip())


def run_query(url: str, query: SavedQuery) -> QueryResult:
    """Run a query in a read-only transaction.

    Raises:
        sqlalchemy.exc.ProgrammingError: the query failed, for example because a table is missing.
    """
    with engine_for(url).connect().execution_options(postgresql_readonly=True) as connection:
        result = connection.exec_driver_sql(query.sql)
        return QueryResult(list(result.keys()), [tuple(row) for row in result])


def print_queries(queries: dict[str, SavedQuery], console: Console) -> None:
    """Print the names and descriptions of the queries."""
    table = Table("name", "description", box=None, pad_edge=False)
    for query in queries.values():
        table.add_row(f"[bold]{query.name}[/]", query.description)
    console.print(table)


def print_result(result: QueryResult, console: Console) -> None:
    """Print a result as a table, with numbers right-aligned."""
    table = Table(*result.columns)
    for column, values in zip(table.columns, zip(*result.rows, strict=True), strict=False):
        if all(isinstance(value, int | Decimal | None) and not isinstance(value, bool) for value in values):
            column.justify = "right"
    for row in result.rows:
        table.add_row(*("" if value is None else Text(in_brief(_shown(value))) for value in row))
    console.print(table)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, Decimal):
        return f"{value:,}"
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)
