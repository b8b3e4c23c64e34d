"""Saved queries of the sales: list and print them."""

from importlib.resources import files
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class SavedQuery(NamedTuple):
    """A named query with its description."""

    name: str
    description: str
    sql: str


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


def print_queries(queries: dict[str, SavedQuery], console: Console) -> None:
    """Print the names and descriptions of the queries."""
    table = Table("name", "description", box=None, pad_edge=False)
    for query in queries.values():
        table.add_row(f"[bold]{query.name}[/]", query.description)
    console.print(table)
