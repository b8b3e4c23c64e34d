"""The sales report: one HTML file, in Portuguese and English, that needs nothing else, neither network nor script.

Importing this takes what Altair, vl-convert and Jinja take: whoever may not need a report imports it when one is due.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from purchase_pipeline.sales.exhibit import Exhibit, Section
from purchase_pipeline.sales.exhibits import ages, brands, categories, payments, products, states, stores
from purchase_pipeline.sales.figures import Period, SalesFigures
from purchase_pipeline.sales.month_exhibits import months, panels
from purchase_pipeline.sales.quality import Fact, Quality, quality
from purchase_pipeline.sales.texts import LANGUAGES, Texts

_TEMPLATE = "report.html.jinja"


class Edition(NamedTuple):
    """The report in one language; without purchases it has its words alone."""

    texts: Texts
    period: str
    facts: Sequence[Fact]
    sections: Sequence[Section]
    quality: Quality | None
    footer: Sequence[str]


def render_report(figures: SalesFigures, now: datetime) -> str:
    """Return the report as HTML; `now` is when it says that it was written."""
    environment = Environment(
        loader=PackageLoader("purchase_pipeline.sales", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    editions = [_edition(figures, texts, now) for texts in LANGUAGES]
    return environment.get_template(_TEMPLATE).render(editions=editions)


def _edition(figures: SalesFigures, texts: Texts, now: datetime) -> Edition:
    written = texts.written_at.format(moment=texts.formats.moment(now))
    if (period := figures.period) is None:
        return Edition(texts, "", [], [], None, [written])
    fresh = figures.newest_commit
    as_of = [texts.data_as_of.format(moment=texts.formats.moment(fresh))] if fresh else []
    return Edition(
        texts,
        _period(period, texts),
        _facts(figures, texts),
        _sections(figures, texts),
        quality(figures, texts),
        [*as_of, written],
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
    over_time = [months(figures, texts), panels(figures, texts)] if figures.months else []
    what_sells = [
        categories(figures, texts) if figures.months else None,
        products(figures, texts) if figures.products else None,
        brands(figures, texts) if figures.brands else None,
    ]
    where = [states(figures, texts) if figures.states else None]
    which = [stores(figures, texts) if figures.stores else None]
    who = [
        payments(figures, texts) if figures.payments else None,
        ages(figures, texts) if figures.age_bands else None,
    ]
    return [
        Section("time", texts.over_time, _stacks(over_time)),
        Section("sells", texts.what_sells, _stacks(*([one] for one in what_sells))),
        Section("where", texts.where_and_who, _stacks(where, which, who)),
    ]


def _stacks(*stacks: Sequence[Exhibit | None]) -> list[list[Exhibit]]:
    """Leave out what there is nothing to tell of."""
    there = ([exhibit for exhibit in stack if exhibit] for stack in stacks)
    return [stack for stack in there if stack]
