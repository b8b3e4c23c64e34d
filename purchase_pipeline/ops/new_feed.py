"""What `new` does: request a response, show what it has, write the feed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from purchase_pipeline.contracts import contract_from_columns
from purchase_pipeline.feeds.new.columns import Column, columns_of, keys_of
from purchase_pipeline.feeds.new.declared import in_python
from purchase_pipeline.feeds.new.files import NewFeed, write
from purchase_pipeline.feeds.new.paging import pages_of, with_pages
from purchase_pipeline.feeds.new.partitions import Partitioning
from purchase_pipeline.feeds.new.places import Places
from purchase_pipeline.feeds.new.response import MOST_BYTES, Found, fetch_first
from purchase_pipeline.feeds.new.shape import Shape, shape_of
from purchase_pipeline.ingest.formats import Csv, Json
from purchase_pipeline.ingest.printable import one_line, printable, quantity
from purchase_pipeline.ingest.sources.http import HttpSource

_EXAMPLE_LENGTH = 30
_MOST_KEYS = 3


class Wanted(NamedTuple):
    """A feed to be made: its name, source and partitions; the path of its rows, if known; how many to look at."""

    name: str
    source: HttpSource
    partitions: Partitioning
    rows: str
    most_rows: int


def run_new(wanted: Wanted, places: Places, console: Console) -> None:
    """Write a feed from the first response for a partition."""
    request = wanted.partitions.request
    received = fetch_first(wanted.source, request)
    shape = shape_of(received, wanted.rows, wanted.most_rows)
    source = _reading(wanted.source, shape, received.default_format)
    pages = pages_of(received, shape, source, request)
    columns = columns_of(shape.rows, shape.row_format)
    seen = min(shape.count, wanted.most_rows)
    cut = "" if received.is_whole else f" in the first {MOST_BYTES >> 20} MiB"
    _say(console, f"{received.page.url}: {quantity(shape.count, 'row')}{cut}")
    facts = {"format": shape.format, "rows": shape.where, "pages": pages, "key": _key(columns)}
    facts["valid"] = Found(f"{_valid_rows(columns, shape)} of {seen} rows", "sure", "by the types below")
    _print_facts(facts, console)
    _print_columns(columns, console, as_yaml=places.is_yaml)
    source = with_pages(source, pages.what)  # type: ignore[arg-type]
    written = write(NewFeed(wanted.name, source, shape, columns, wanted.partitions), places)
    _say(console, f"\nWrote {', '.join(map(str, written))}. The sample has the first rows as received.")
    _say(console, f"Test:  python -m pytest {written[1]}")
    if places.load:
        _say(console, f"Load:  {places.load}")


def _reading(source: HttpSource, shape: Shape, default: object) -> HttpSource:
    """Return the source with the format of its response, as far as the response does not say it."""
    row_format = shape.row_format
    if isinstance(row_format, Json) and default == Json():
        return replace(source, rows=row_format.rows)
    if isinstance(row_format, Csv):
        said = default.encoding if isinstance(default, Csv) else "utf-8"
        row_format = row_format.model_copy(update={"encoding": None} if row_format.encoding == said else {})
        default = Csv() if isinstance(default, Csv) else default
    return source if row_format == default else replace(source, format=row_format)


def _key(columns: Sequence[Column]) -> Found:
    names = [column.name for column in keys_of(columns)]
    if not names:
        return Found("none", "likely", "no column has unique in the sample")
    return Found(", or ".join(names[:_MOST_KEYS]), "likely", "unique in the sample")


def _valid_rows(columns: Sequence[Column], shape: Shape) -> int:
    """Return how many rows the contract accepts."""
    contract = contract_from_columns("Row", {column.name: column.yaml for column in columns})
    validator, valid = contract.__pydantic_validator__, 0
    for raw, row in zip(shape.raw, shape.rows, strict=True):
        try:
            if isinstance(shape.row_format, Csv):
                validator.validate_strings({name: value for name, value in row.items() if value})
            else:
                validator.validate_json(raw)
        except ValidationError:
            continue
        valid += 1
    return valid


def _print_facts(facts: dict[str, Found], console: Console) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for fact, (what, sure, why) in facts.items():
        shown = what if isinstance(what, str) else in_python(what)
        table.add_row(fact, _shown(shown or "the body"), sure, _shown(why))
    console.print(table)


def _print_columns(columns: Sequence[Column], console: Console, *, as_yaml: bool) -> None:
    table = Table(
        "column", "in the response", "type", "no value", "example", "sure", box=None, pad_edge=False
    )
    for column in columns:
        missing = column.rows - len(column.values)
        of, note = column.kind.words(as_yaml=as_yaml)
        table.add_row(
            column.name,
            _shown(".".join(column.path)),
            _shown(of),
            f"{missing} of {column.rows}" if missing else "never",
            _shown(one_line(str(column.values[0]), _EXAMPLE_LENGTH) if column.values else ""),
            _shown(f"{column.sure}: {note}" if note else column.sure),
        )
    console.print(table)


def _shown(text: str) -> Text:
    return Text(printable(text))


def _say(console: Console, text: str) -> None:
    console.print(
        printable(text) if "\n" not in text else text, highlight=False, markup=False, soft_wrap=True
    )
