"""The sales report: one self-contained HTML file, in Portuguese and English, without scripts.

This module imports vl-convert and Jinja, which are slow to load: import it only when a report is written.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from purchase_pipeline.ingest.printable import printable
from purchase_pipeline.sales.report.exhibit import Exhibit, Section
from purchase_pipeline.sales.report.exhibits import (
    ages,
    brands,
    categories,
    payments,
    products,
    states,
    stores,
)
from purchase_pipeline.sales.report.figures import Period, SalesFigures
from purchase_pipeline.sales.report.month_exhibits import months, panels
from purchase_pipeline.sales.report.quality import Fact, Quality, quality
from purchase_pipeline.sales.report.texts import LANGUAGES, Texts

_TEMPLATE = "page.html.jinja"
_BuildExhibit = Callable[[SalesFigures, Texts], Exhibit | None]


class Edition(NamedTuple):
    """The report in one language; without purchases, only its texts."""

    texts: Texts
    period: str
    facts: Sequence[Fact]
    sections: Sequence[Section]
    quality: Quality | None
    written: str


def render_report(figures: SalesFigures, now: datetime) -> str:
    """Return the report as HTML; `now` is its time of writing."""
    environment = Environment(
        loader=PackageLoader("purchase_pipeline.sales.report", ""),
        autoescape=True,
        finalize=_clean,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    editions = [_edition(figures, texts, now) for texts in LANGUAGES]
    return environment.get_template(_TEMPLATE).render(editions=editions)


def _clean(value: object) -> object:
    """Escape control and bidirectional characters in a text; return drawings unchanged."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _edition(figures: SalesFigures, texts: Texts, now: datetime) -> Edition:
    written = texts.written_at.format(moment=texts.formats.moment(now))
    if (period := figures.period) is None:
        return Edition(texts, "", [], [], None, written)
    return Edition(
        texts,
        _period(period, texts),
        _facts(figures, texts),
        _sections(figures, texts),
        quality(figures, texts),
        written,
    )


def _period(period: Period, texts: Texts) -> str:
    return texts.period.format(first=texts.formats.day(period.first), last=texts.formats.day(period.last))


def _facts(figures: SalesFigures, texts: Texts) -> list[Fact]:
    formats = texts.formats
    ticket = figures.revenue / figures.purchases
    facts = [
        Fact(texts.revenue, formats.short_money(figures.revenue), formats.money(figures.revenue)),
        Fact(texts.purchases, formats.number(figures.purchases)),
        Fact(texts.ticket, formats.money(ticket)),
        Fact(texts.customers, formats.number(figures.customers), texts.customers_note),
    ]
    return facts if figures.customers else facts[:-1]


def _sections(figures: SalesFigures, texts: Texts) -> list[Section]:
    """Return the sections, each as columns of stacked exhibits."""
    sections: list[tuple[str, list[list[_BuildExhibit]]]] = [
        (texts.over_time, [[months, panels]]),
        (texts.what_sells, [[categories, payments], [products], [brands]]),
        (texts.where_and_who, [[states], [stores], [ages]]),
    ]
    return [
        Section(title, [shown for column in columns if (shown := _exhibits(column, figures, texts))])
        for title, columns in sections
    ]


def _exhibits(builders: Sequence[_BuildExhibit], figures: SalesFigures, texts: Texts) -> list[Exhibit]:
    """Build the exhibits that have data."""
    return [exhibit for build in builders if (exhibit := build(figures, texts))]
