"""What the page shows of one subject: a finding in words, pictures, and the numbers behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from purchase_pipeline.sales.report.drawing import Drawn
from purchase_pipeline.sales.report.texts import Texts

_MOST_ROWS = 100


class Picture(NamedTuple):
    """One drawing; `finding` says in words what is to be seen, `screens` on which width of screen."""

    drawn: Drawn
    finding: str
    screens: str = "all"
    title: str = ""
    subtitle: str = ""


class Numbers(NamedTuple):
    """A table; its first `words` columns are the data's own words, in their own language."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int
    more: str
    words_language: str = "pt-BR"


@dataclass(frozen=True)
class Exhibit:
    """One subject. `shape` is how much of the page's width it takes."""

    title: str
    finding: str
    note: str
    pictures: Sequence[Picture]
    numbers: Numbers
    shape: str = "single"


class Section(NamedTuple):
    """A chapter of the page."""

    title: str
    columns: Sequence[Sequence[Exhibit]]


def numbers(
    texts: Texts, headers: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1
) -> Numbers:
    """Return a table of the first hundred rows, which says how many more there are."""
    rest = len(rows) - _MOST_ROWS
    more = texts.more_rows.format(count=texts.formats.number(rest)) if rest > 0 else ""
    return Numbers(headers, rows[:_MOST_ROWS], words, more)


def ratio(part: float | Decimal, whole: float | Decimal) -> float:
    """Return what share of a whole a part is; none of nothing."""
    return float(part) / float(whole) if whole else 0.0
