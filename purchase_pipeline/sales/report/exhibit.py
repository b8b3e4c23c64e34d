"""Exhibits of the page: a finding in words, its charts, and the numbers behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from purchase_pipeline.sales.report.texts import Texts

_MOST_ROWS = 100


class Mark(NamedTuple):
    """One bar, column, tile or point: its name, its size or height (0 to 1), its label, the lines of its tooltip.

    `paint` names its colour in the style sheet; `x` is its place in a line (0 to 1), or the cell of a tile.
    """

    name: str
    value: float
    written: str
    tip: Sequence[str]
    paint: str = ""
    x: float | str = ""


class Note(NamedTuple):
    """A text or a line inside a chart, at a place (0 to 1); `kind` names its look in the style sheet."""

    kind: str
    x: float
    y: float
    text: str = ""


class Chart(NamedTuple):
    """One chart; `kind` is its form in the style sheet: bars, columns, months, tiles or line."""

    kind: str
    marks: Sequence[Mark]
    notes: Sequence[Note] = ()
    title: str = ""
    subtitle: str = ""


class Cell(NamedTuple):
    """A table's cell: its text, and the number that it stands for, by which it is sorted and exported."""

    text: str
    number: str = ""


class Numbers(NamedTuple):
    """A table; its first `words` columns hold text, in `words_language`."""

    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: int
    more: str
    words_language: str = "pt-BR"


@dataclass(frozen=True)
class Exhibit:
    """One subject; `key` is its name in the script, `shape` its width on the page."""

    key: str
    title: str
    finding: str
    note: str
    charts: Sequence[Chart]
    numbers: Numbers
    shape: str = "single"


class Section(NamedTuple):
    """A section of the page."""

    title: str
    columns: Sequence[Sequence[Exhibit]]


def numbers(
    texts: Texts, headers: Sequence[str], rows: Sequence[Sequence[Cell]], *, words: int = 1
) -> Numbers:
    """Return a table of the first 100 rows, with the number of omitted rows."""
    rest = len(rows) - _MOST_ROWS
    more = texts.more_rows.format(count=texts.formats.number(rest)) if rest > 0 else ""
    return Numbers(headers, rows[:_MOST_ROWS], words, more)


def count(texts: Texts, value: int) -> Cell:
    """Return the cell of a count."""
    return Cell(texts.formats.number(value), str(value))


def money(texts: Texts, value: Decimal | float) -> Cell:
    """Return the cell of an amount, to the centavo."""
    return Cell(texts.formats.money(value), exactly(value, 2))


def percent(texts: Texts, value: float, places: int = 1) -> Cell:
    """Return the cell of a ratio."""
    return Cell(texts.formats.percent(value, places), exactly(value, 6))


def change(texts: Texts, value: float) -> Cell:
    """Return the cell of a relative change."""
    return Cell(texts.formats.change(value), exactly(value, 6))


def exactly(value: float | Decimal, places: int) -> str:
    """Write a number for a computer, rounded as the texts are, which JavaScript does as well."""
    return f"{Decimal(str(value)):.{places}f}"


def tip(texts: Texts, name: str, purchases: int, revenue: Decimal) -> list[str]:
    """Return what the tooltip of a sum says, a line for each number."""
    formats = texts.formats
    return [
        name,
        f"{texts.revenue}: {formats.money(revenue)}",
        f"{texts.purchases}: {formats.number(purchases)}",
        f"{texts.ticket}: {formats.money(ratio(revenue, purchases))}",
    ]


def ratio(part: float | Decimal, whole: float | Decimal) -> float:
    """Return part / whole, or 0 if the whole is 0."""
    return float(part) / float(whole) if whole else 0.0
