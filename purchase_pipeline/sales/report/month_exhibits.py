"""Exhibits by month. A month is whole if the period includes its first and its last day."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from purchase_pipeline.sales.report.drawing import WIDTH
from purchase_pipeline.sales.report.exhibit import Exhibit, Picture, numbers, ratio
from purchase_pipeline.sales.report.exhibits import sales_by_category
from purchase_pipeline.sales.report.figures import SalesFigures
from purchase_pipeline.sales.report.month_charts import MonthBar, PanelPoint, month_bars, panel
from purchase_pipeline.sales.report.texts import Texts

_SCREENS = {"narrow": WIDTH, "middle": 640, "wide": 1000}
_FEWEST_MONTHS = 3
_MOST_PANELS = 6
_ROOM_FOR_A_YEAR = 4


class _Month(NamedTuple):
    month: date
    purchases: int
    revenue: Decimal
    whole: bool


class _Course(NamedTuple):
    """One category's whole months, relative to their average."""

    category: str
    average: float
    changes: Sequence[float]


def months(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show revenue by month; the best month is a whole one, if there is any."""
    formats, rows = texts.formats, _months(figures)
    if not rows:
        return None
    whole = [row for row in rows if row.whole] or rows
    best = max(whole, key=lambda row: row.revenue)
    scale = formats.scale(best.revenue)
    finding = texts.months.finding.format(
        average=formats.short_money(ratio(sum(row.revenue for row in whole), len(whole))),
        best=formats.whole_month(best.month),
        most=formats.short_money(best.revenue),
    )
    years = _years([row.month for row in rows])
    shown = [
        MonthBar(float(row.revenue) / scale.size, year, row.whole)
        for row, year in zip(rows, years, strict=True)
    ]
    draw = partial(month_bars, shown, rows.index(best), formats.month(best.month), locale=formats.locale)
    pictures = [Picture(draw(width=width), finding, screens) for screens, width in _SCREENS.items()]
    cells = [
        (formats.month(row.month), formats.number(row.purchases), formats.money(row.revenue)) for row in rows
    ]
    table = numbers(texts, (texts.months.header, texts.purchases, texts.revenue), cells, words=0)
    title = texts.months.title.format(unit=scale.name)
    return Exhibit(title, finding, texts.months.note, pictures, table, shape="full")


def panels(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show each category's monthly changes; None if there are too few whole months."""
    formats, whole = texts.formats, [row.month for row in _months(figures) if row.whole]
    courses = _courses(figures, whole)
    if len(whole) < _FEWEST_MONTHS or not courses:
        return None
    widest = max(courses, key=lambda course: max(course.changes) - min(course.changes))
    reach = max(abs(change) for course in courses for change in course.changes) or 1
    finding = texts.panels.finding.format(
        category=widest.category,
        lowest=formats.change(min(widest.changes)),
        highest=formats.change(max(widest.changes)),
    )
    pictures = [_panel(course, _years(whole), reach, texts) for course in courses]
    cells = [
        (formats.month(month), *(formats.change(course.changes[place]) for course in courses))
        for place, month in enumerate(whole)
    ]
    table = numbers(texts, (texts.panels.header, *(course.category for course in courses)), cells, words=0)
    return Exhibit(texts.panels.title, finding, texts.panels.note, pictures, table, shape="panels")


def _panel(course: _Course, years: Sequence[str], reach: float, texts: Texts) -> Picture:
    formats = texts.formats
    lowest, highest = min(course.changes), max(course.changes)
    written = {
        course.changes.index(lowest): formats.change(lowest),
        course.changes.index(highest): formats.change(highest),
    }
    points = [
        PanelPoint(change, year, written.get(place, ""))
        for place, (change, year) in enumerate(zip(course.changes, years, strict=True))
    ]
    average = formats.short_money(course.average)
    finding = texts.panel.format(
        category=course.category,
        average=average,
        lowest=formats.change(lowest),
        highest=formats.change(highest),
    )
    subtitle = texts.panel_average.format(average=average)
    return Picture(panel(points, reach), finding, title=course.category, subtitle=subtitle)


def _courses(figures: SalesFigures, whole: Sequence[date]) -> list[_Course]:
    revenue = {(row.category, row.month): float(row.revenue) for row in figures.months}
    courses = []
    for category, *_ in sales_by_category(figures)[:_MOST_PANELS]:
        values = [revenue.get((category, month), 0.0) for month in whole]
        if average := sum(values) / max(len(values), 1):
            courses.append(_Course(category, average, [value / average - 1 for value in values]))
    return courses


def _months(figures: SalesFigures) -> list[_Month]:
    """Return every month of the period, including those without purchases."""
    if (period := figures.period) is None:
        return []
    sums = dict.fromkeys(_from_to(period.first.replace(day=1), period.last), (0, Decimal(0)))
    for row in figures.months:
        purchases, revenue = sums.get(row.month, (0, Decimal(0)))
        sums[row.month] = (purchases + row.purchases, revenue + row.revenue)
    return [
        _Month(month, *both, whole=period.first <= month and _last_day(month) <= period.last)
        for month, both in sorted(sums.items())
    ]


def _from_to(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first = _last_day(first) + timedelta(days=1)


def _last_day(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _years(shown: Sequence[date]) -> list[str]:
    """Return the label below each month: the year at its first month if there is room, else an empty text."""
    return [
        str(month.year)
        if (place == 0 or month.year != shown[place - 1].year)
        and all(other.year == month.year for other in shown[place : place + _ROOM_FOR_A_YEAR])
        and place + _ROOM_FOR_A_YEAR <= len(shown)
        else ""
        for place, month in enumerate(shown)
    ]
