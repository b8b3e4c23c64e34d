"""Rows of a statement as a table or as CSV. Values are PostgreSQL's own text, so none is rounded."""

import csv
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import islice
from typing import TextIO

from psycopg.adapt import AdaptersMap, Buffer, Loader
from psycopg.postgres import types
from psycopg.types.string import TextLoader
from rich.console import Console
from rich.table import Table
from rich.text import Text

from purchase_pipeline.ingest.printable import in_brief, printable, sheet_cell
from purchase_pipeline.ops.statement import Column, Result

MOST_SHOWN = 100
ANY_OTHER_TYPE = 0
_ANY_WIDTH = 100_000
NUMBERS = {types[name].oid for name in ("int2", "int4", "int8", "numeric", "float4", "float8", "oid")}
MOMENTS = {types[name].oid for name in ("timestamp", "timestamptz")}
# A leading minus or plus of these is no formula.
_NO_FORMULAS = NUMBERS | MOMENTS | {types[name].oid for name in ("date", "interval", "bool")}


class _Text(TextLoader):
    """A value as PostgreSQL writes it."""


class Boolean(Loader):
    """A boolean in full, as JSON has it."""

    def load(self, data: Buffer) -> str:
        """Return `true` or `false` for PostgreSQL's `t` or `f`."""
        return "true" if bytes(data) == b"t" else "false"


def load_text(adapters: AdaptersMap) -> None:
    """Let values be read as PostgreSQL writes them, and booleans in full."""
    for kind in adapters.types:
        for oid in {kind.oid, kind.array_oid}:
            adapters.register_loader(oid, _Text)
    adapters.register_loader(ANY_OTHER_TYPE, _Text)
    adapters.register_loader("bool", Boolean)


def write_csv(result: Result, out: TextIO) -> None:
    """Write rows as they arrive: exact in a file or pipe; on a terminal, control characters are escaped.

    Text which a spreadsheet would run as a formula gets a leading `'`. NULL is an empty cell.
    """
    shown = printable if out.isatty() else str
    writer = csv.writer(out)
    writer.writerow([shown(str(sheet_cell(column.name))) for column in result.columns])
    is_text = [column.type_oid not in _NO_FORMULAS for column in result.columns]
    for row in result.rows:
        cells = (sheet_cell(value) if text else value for value, text in zip(row, is_text, strict=True))
        writer.writerow([cell if cell is None else shown(str(cell)) for cell in cells])


def print_rows(result: Result, console: Console) -> bool:
    """Print the first rows, and return whether these are all.

    A table that is wider than the terminal is printed as records, one column a line.
    """
    rows = list(islice(result.rows, MOST_SHOWN + 1))
    table = _table(result.columns, rows[:MOST_SHOWN])
    width = console.measure(table, options=console.options.update(max_width=_ANY_WIDTH)).maximum
    if console.is_terminal and width > console.width:
        _print_records(result.columns, rows[:MOST_SHOWN], console)
    else:
        console.width = max(width, console.width)  # of a file or pipe
        console.print(table)
    if not rows:
        console.print("0 rows")
    return len(rows) <= MOST_SHOWN


def _table(columns: Sequence[Column], rows: Iterable[Sequence[str | None]]) -> Table:
    """Return a table, with numbers right-aligned."""
    table = Table()
    for column in columns:
        right = column.type_oid in NUMBERS
        table.add_column(Text(printable(column.name)), justify="right" if right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(_cell, columns, row))
    return table


def _print_records(columns: Sequence[Column], rows: Iterable[Sequence[str | None]], console: Console) -> None:
    names = [printable(column.name) for column in columns]
    width = max(map(len, names))
    for number, row in enumerate(rows, start=1):
        console.print(Text(f"── {number} ──", style="dim"))
        for name, cell in zip(names, map(_cell, columns, row), strict=True):
            console.print(Text.assemble((f"{name:<{width}}  ", "bold"), cell), soft_wrap=True)


def _cell(column: Column, value: str | None) -> Text:
    if value is None:
        return Text("")
    if column.type_oid == types["bool"].oid:
        return Text("yes" if value == "true" else "NO")
    if column.type_oid == types["numeric"].oid:
        return Text(in_brief(f"{Decimal(value):,}"))
    if column.type_oid in MOMENTS:
        return Text(re.sub(r"(\.\d+)?(\+00)?$", "", value))
    return Text(in_brief(value))
