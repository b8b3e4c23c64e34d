"""The sales report: one self-contained HTML file, in Portuguese and English.

It is complete without its script, which adds filters, tooltips, sorting and CSV. The security policy of the page lets
only this script run, by its hash, and nothing be requested. This module imports Jinja and Babel, which are slow to
load: import it only when a report is written.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from purchase_pipeline.ingest.printable import printable
from purchase_pipeline.sales.report import Language
from purchase_pipeline.sales.report.cube import figures_json, has_filters
from purchase_pipeline.sales.report.customer_exhibits import ages, returning
from purchase_pipeline.sales.report.day_exhibits import compared, seasons, weekdays
from purchase_pipeline.sales.report.exhibit import Exhibit, Section
from purchase_pipeline.sales.report.exhibits import (
    brands,
    categories,
    payments,
    products,
    state_tickets,
    states,
    store_tickets,
    stores,
)
from purchase_pipeline.sales.report.figures import Period, SalesFigures
from purchase_pipeline.sales.report.headline import headline
from purchase_pipeline.sales.report.month_exhibits import months
from purchase_pipeline.sales.report.panels_exhibit import panels
from purchase_pipeline.sales.report.periods import Span, months_of
from purchase_pipeline.sales.report.quality import Fact, Quality, quality
from purchase_pipeline.sales.report.texts import LANGUAGES, Texts

_SCRIPTS = ("figures", "formats", "exhibits", "months", "days", "filters", "tables", "tooltips", "start")
_TEMPLATE = "page.html.jinja"
_BuildExhibit = Callable[[SalesFigures, Texts], Exhibit | None]


class Option(NamedTuple):
    """A choice of a filter."""

    value: str
    name: str


class Edition(NamedTuple):
    """The report in one language; without purchases, only its texts."""

    texts: Texts
    period: str
    facts: Sequence[Fact]
    sections: Sequence[Section]
    quality: Quality | None
    written: str
    months: Sequence[Option] = ()
    stores: Sequence[Option] = ()


def render_report(figures: SalesFigures, now: datetime, language: Language | None = None) -> str:
    """Return the report as HTML; `now` is its time of writing. Without a language, it opens in the browser's."""
    environment = Environment(
        loader=PackageLoader("purchase_pipeline.sales.report", ""),
        autoescape=True,
        finalize=_clean,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    editions = [_edition(figures, texts, now) for texts in LANGUAGES]
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(_TEMPLATE).render(
        editions=editions,
        language=next((texts for texts in LANGUAGES if language and texts.code.startswith(language)), None),
        figures=figures_json(figures),
        script=Markup(script),  # noqa: S704  # our own
        script_hash=f"sha256-{digest}",
    )


def _script() -> str:
    folder = files("purchase_pipeline.sales.report") / "script"
    return "".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)


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
        headline(figures, texts),
        _sections(figures, texts),
        quality(figures, texts),
        written,
        _month_options(period, texts) if has_filters(figures) else (),
        [
            Option(row.name, texts.store.format(name=row.name))
            for row in sorted(figures.stores, key=lambda row: int(row.name))
        ],
    )


def _month_options(period: Period, texts: Texts) -> list[Option]:
    return [
        Option(month.first.isoformat(), texts.formats.month(month.first))
        for month in months_of(Span(*period))
    ]


def _period(period: Period, texts: Texts) -> str:
    return texts.period.format(first=texts.formats.day(period.first), last=texts.formats.day(period.last))


def _sections(figures: SalesFigures, texts: Texts) -> list[Section]:
    """Return the sections, each as columns of stacked exhibits."""
    sections: list[tuple[str, list[list[_BuildExhibit]]]] = [
        (texts.over_time, [[months, compared, panels]]),
        (texts.rhythm, [[weekdays], [seasons], [returning]]),
        (texts.what_sells, [[categories, payments], [products], [brands]]),
        (texts.where_and_who, [[states, state_tickets], [stores, store_tickets], [ages]]),
    ]
    return [
        Section(title, [shown for column in columns if (shown := _exhibits(column, figures, texts))])
        for title, columns in sections
    ]


def _exhibits(builders: Sequence[_BuildExhibit], figures: SalesFigures, texts: Texts) -> list[Exhibit]:
    """Build the exhibits that have data."""
    return [exhibit for build in builders if (exhibit := build(figures, texts))]
