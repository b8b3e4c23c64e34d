"""Exhibits by day: what is compared with what, weekdays and seasons. All are revenue per day: months differ in days."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from purchase_pipeline.sales.report.chance import Estimate, claim
from purchase_pipeline.sales.report.exhibit import (
    Cell,
    Chart,
    Exhibit,
    Mark,
    change,
    count,
    money,
    numbers,
    ratio,
)
from purchase_pipeline.sales.report.figures import DaySales, SalesFigures
from purchase_pipeline.sales.report.month_exhibits import sales_of_months
from purchase_pipeline.sales.report.periods import Comparison, Span, comparisons, last_day, months_of
from purchase_pipeline.sales.report.texts import ExhibitTexts, Texts

_YEAR = 12


class Sums(NamedTuple):
    """The sales of some days."""

    days: int
    purchases: int
    revenue: Decimal

    @property
    def a_day(self) -> float:
        """Revenue per day."""
        return ratio(self.revenue, self.days)


def compared(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Compare the newest months and years with those before."""
    found = comparisons(Span(*figures.period)) if figures.period else ()
    if not found:
        return None
    rows = [_compared(each, figures, texts) for each in found]
    finding = texts.compared.finding.format(what=texts.comparisons[found[0].key], change=rows[0][-1].text)
    headers = (
        texts.compared.header,
        texts.period_now,
        texts.period_before,
        texts.now,
        texts.before,
        texts.change,
    )
    table = numbers(texts, headers, rows, words=3)._replace(words_language=texts.code)
    return Exhibit("compared", texts.compared.title, finding, texts.compared.note, [], table, shape="table")


def _compared(each: Comparison, figures: SalesFigures, texts: Texts) -> list[Cell]:
    now, before = sums_of(figures, each.now), sums_of(figures, each.before)
    return [
        Cell(texts.comparisons[each.key]),
        Cell(span_text(each.now, texts)),
        Cell(span_text(each.before, texts)),
        money(texts, now.a_day),
        money(texts, before.a_day),
        change_cell(
            figures.prices.revenue_of(float(now.revenue), now.days),
            figures.prices.revenue_of(float(before.revenue), before.days),
            texts,
        ),
    ]


def change_cell(now: Estimate, before: Estimate, texts: Texts) -> Cell:
    """Return the change, or that it is within chance."""
    shown = change(texts, ratio(now.value, before.value) - 1 if before.value else 0.0)
    return shown if now.differs(before) else shown._replace(text=texts.by_chance)


def sums_of(figures: SalesFigures, span: Span) -> Sums:
    """Return the sales of a span."""
    return _sums([day for day in figures.days if span.first <= day.day <= span.last], span.days)


def span_text(span: Span, texts: Texts) -> str:
    """Write a span: as a month, months, or days."""
    formats, whole = texts.formats, list(months_of(span))
    if (span.first, span.last) == (whole[0].first, whole[-1].last):
        ends = dict.fromkeys((formats.month(span.first), formats.month(whole[-1].first)))
    else:
        ends = dict.fromkeys((formats.short_day(span.first), formats.short_day(span.last)))
    return texts.to.join(ends)


class _Cycle(NamedTuple):
    """A recurring part of the calendar: the names of its places, and the place of a day."""

    key: str
    names: Sequence[str]
    place_of: Callable[[date], int]


def weekdays(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show revenue per day by weekday, Monday first."""
    if figures.period is None:
        return None
    week = _Cycle("weekdays", texts.formats.weekdays, date.weekday)
    return _by_cycle(week, Span(*figures.period), figures, texts)


def seasons(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show revenue per day by month of the year, over whole months; None until there is a whole year."""
    whole = [month.month for month in sales_of_months(figures) if month.whole]
    if len(whole) < _YEAR:
        return None
    year = _Cycle("seasons", texts.formats.months, lambda day: day.month - 1)
    return _by_cycle(year, Span(whole[0], last_day(whole[-1])), figures, texts)


def _by_cycle(cycle: _Cycle, covered: Span, figures: SalesFigures, texts: Texts) -> Exhibit:
    """Show revenue per day by a recurring part of the calendar."""
    formats, (key, names, place_of) = texts.formats, cycle
    words: ExhibitTexts = getattr(texts, key)
    days = [0] * len(names)
    for day in _days(covered):
        days[place_of(day)] += 1
    sold = [day for day in figures.days if covered.first <= day.day <= covered.last]
    sums = [
        _sums([day for day in sold if place_of(day.day) == place], days[place]) for place in range(len(names))
    ]
    highest = max(each.a_day for each in sums) or 1.0
    scale = formats.scale(highest)
    marks = [
        Mark(
            name[:3],
            each.a_day / highest,
            formats.number(each.a_day / scale.size, 0 if each.a_day >= 100 * scale.size else 1),
            [
                name,
                f"{texts.a_day}: {formats.money(each.a_day)}",
                f"{texts.days}: {formats.number(each.days)}",
            ],
        )
        for name, each in zip(names, sums, strict=True)
    ]
    ordered = sorted(zip(names, sums, strict=True), key=lambda named: -named[1].a_day)
    made = claim([figures.prices.revenue_of(float(each.revenue), each.days or 1) for _, each in ordered])
    finding = (words.finding if made == "leads" else texts.claims[made]).format(
        best=ordered[0][0],
        second=ordered[1][0],
        most=formats.short_money(ordered[0][1].a_day),
        least=formats.short_money(ordered[-1][1].a_day),
    )
    cells = [
        (
            Cell(name, str(place)),
            count(texts, each.days),
            count(texts, each.purchases),
            money(texts, each.revenue),
            money(texts, each.a_day),
        )
        for place, (name, each) in enumerate(zip(names, sums, strict=True))
    ]
    headers = (words.header, texts.days, texts.purchases, texts.revenue, texts.a_day)
    table = numbers(texts, headers, cells, words=0)
    return Exhibit(
        key, words.title.format(unit=scale.name), finding, words.note, [Chart("columns", marks)], table
    )


def _days(span: Span) -> Iterator[date]:
    return (span.first + timedelta(days=number) for number in range(span.days))


def _sums(days: Sequence[DaySales], number: int) -> Sums:
    return Sums(number, sum(day.purchases for day in days), sum((day.revenue for day in days), Decimal(0)))
