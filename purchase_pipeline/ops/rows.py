"""Rows of a statement: as a table for people, as CSV, as JSON. Values are PostgreSQL's own text, so none is rounded."""

import csv
import json
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

from purchase_pipeline.ingest.printable import escaped_json, in_brief, printable, sheet_cell
from purchase_pipeline.ops.statement import Column, Result, StatementError

MOST_SHOWN = 100
_ANY_OTHER_TYPE = 0
_ANY_WIDTH = 100_000
_NUMBERS = {types[name].oid for name in ("int2", "int4", "int8", "numeric", "float4", "float8", "oid")}
_MOMENTS = {types[name].oid for name in ("timestamp", "timestamptz")}
# A leading minus or plus of these is no formula.
_NO_FORMULAS = _NUMBERS | _MOMENTS | {types[name].oid for name in ("date", "interval", "bool")}


class _Text(TextLoader):
    """A value as PostgreSQL writes it."""


class _Boolean(Loader):
    def load(self, data: Buffer) -> str:
        return "true" if bytes(data) == b"t" else "false"


class _JsonText(Loader):
    """A value as a JSON string. The subclasses know a better JSON."""

    def load(self, data: Buffer) -> str:
        return self.json_of(bytes(data).decode())

    def json_of(self, text: str) -> str:
        return json.dumps(text, ensure_ascii=False)


class _JsonNumber(_JsonText):
    """All digits of a number; a string for NaN and Infinity, which JSON has not."""

    def json_of(self, text: str) -> str:
        return text if text[-1].isdigit() else super().json_of(text)


class _JsonMoment(_JsonText):
    """A timestamp in ISO 8601, in UTC; PostgreSQL's text for infinity and years before 1."""

    def json_of(self, text: str) -> str:
        iso = re.sub(r"^(\d+-\d\d-\d\d) ([\d:.]+)(?:(\+00))?$", _iso, text)
        return super().json_of(iso)


class _JsonDocument(_JsonText):
    """The document itself, on one line: white space between its tokens may have line ends."""

    def json_of(self, text: str) -> str:
        return re.sub(r"[\t\r\n]", " ", text)


def _iso(found: "re.Match[str]") -> str:
    return f"{found[1]}T{found[2]}" + ("+00:00" if found[3] else "")


def load_text(adapters: AdaptersMap) -> None:
    """Let values be read as PostgreSQL writes them, and booleans in full."""
    for kind in adapters.types:
        for oid in {kind.oid, kind.array_oid}:
            adapters.register_loader(oid, _Text)
    adapters.register_loader(_ANY_OTHER_TYPE, _Text)
    adapters.register_loader("bool", _Boolean)


def load_json(adapters: AdaptersMap) -> None:
    """Let values be read as JSON, and arrays as lists of JSON."""
    for oid in {_ANY_OTHER_TYPE, *(kind.oid for kind in adapters.types)}:
        adapters.register_loader(oid, _JsonText)
    better = dict.fromkeys(_NUMBERS, _JsonNumber) | dict.fromkeys(_MOMENTS, _JsonMoment)
    for oid, loader in better.items():
        adapters.register_loader(oid, loader)
    adapters.register_loader("bool", _Boolean)
    for name in ("json", "jsonb"):
        adapters.register_loader(name, _JsonDocument)


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


def write_json(result: Result, out: TextIO) -> None:
    """Write rows as they arrive: one JSON array, a row a line, so that what is cut off is not taken for the whole.

    Raises:
        StatementError: two columns have the same name.
    """
    names = [column.name for column in result.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise StatementError(f"Several columns are named {', '.join(twice)}.", hint="Rename them with AS.")
    keys = [json.dumps(name, ensure_ascii=False) for name in names]
    before = "[\n"
    for row in result.rows:
        pairs = (f"{key}: {_json(value)}" for key, value in zip(keys, row, strict=True))
        out.write(f"{before}{escaped_json('{' + ', '.join(pairs) + '}', out.encoding or 'utf-8')}")
        before = ",\n"
    out.write("[]\n" if before == "[\n" else "\n]\n")


def _json(value: "str | list[object] | None") -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_json, value))}]"  # type: ignore[arg-type]  # of what the loaders return
    return "null" if value is None else value


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
        right = column.type_oid in _NUMBERS
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
    if column.type_oid in _MOMENTS:
        return Text(re.sub(r"(\.\d+)?(\+00)?$", "", value))
    return Text(in_brief(value))
