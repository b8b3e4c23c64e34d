"""Exhibits of the page: a finding in words, its charts, and the numbers behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from purchase_pipeline.sales.report.drawing import Drawn
from purchase_pipeline.sales.report.texts import Texts

_MOST_ROWS = 100


class Picture(NamedTuple):
    """One drawing; `finding` describes it in words, `screens` is the screen width that it is for."""

    drawn: Drawn
    finding: str
    screens: str = "all"
    title: str = ""
    subtitle: str = ""


class Numbers(NamedTuple):
    """A table; its first `words` columns hold text from the data, in `words_language`."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int
    more: str
    words_language: str = "pt-BR"


@dataclass(frozen=True)
class Exhibit:
    """One subject; `shape` is its width on the page."""

    title: str
    finding: str
    note: str
    pictures: Sequence[Picture]
    numbers: Numbers
    shape: str = "single"


class Section(NamedTuple):
    """A section of the page."""

    title: str
    columns: Sequence[Sequence[Exhibit]]


def numbers(
    texts: Texts, headers: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1
) -> Numbers:
    """Return a table of the first 100 rows, with the number of omitted rows."""
    rest = len(rows) - _MOST_ROWS
    more = texts.more_rows.format(count=texts.formats.number(rest)) if rest > 0 else ""
    return Numbers(headers, rows[:_MOST_ROWS], words, more)


def ratio(part: float | Decimal, whole: float | Decimal) -> float:
    """Return part / whole, or 0 if the whole is 0."""
    return float(part) / float(whole) if whole else 0.0
