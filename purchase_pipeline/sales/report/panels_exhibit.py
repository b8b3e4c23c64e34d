"""Small charts of each category's months, on one scale."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from purchase_pipeline.sales.report.chance import Estimate
from purchase_pipeline.sales.report.exhibit import Cell, Chart, Exhibit, Mark, Note, change, numbers
from purchase_pipeline.sales.report.figures import SalesFigures
from purchase_pipeline.sales.report.month_exhibits import sales_of_months, year_notes
from purchase_pipeline.sales.report.periods import last_day
from purchase_pipeline.sales.report.texts import Texts

_FEWEST_MONTHS = 3
_MOST_PANELS = 6


class _Course(NamedTuple):
    """One category's revenue per day in whole months, relative to their average."""

    category: str
    average: float
    changes: Sequence[float]
    ends: tuple[Estimate, Estimate]


def panels(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show each category's monthly changes; None if there are too few whole months."""
    formats, whole = texts.formats, [row.month for row in sales_of_months(figures) if row.whole]
    courses = _courses(figures, whole)
    if len(whole) < _FEWEST_MONTHS or not courses:
        return None
    reach = max(abs(change) for course in courses for change in course.changes) or 1.0
    varied = [course for course in courses if course.ends[0].differs(course.ends[1])]
    finding = texts.claims["steady"]
    if varied:
        widest = max(varied, key=lambda course: max(course.changes) - min(course.changes))
        finding = texts.panels.finding.format(
            category=widest.category,
            lowest=formats.change(min(widest.changes)),
            highest=formats.change(max(widest.changes)),
        )
    charts = [_panel(course, whole, reach, texts) for course in courses]
    cells = [
        (
            Cell(formats.month(month), month.isoformat()),
            *(change(texts, course.changes[place]) for course in courses),
        )
        for place, month in enumerate(whole)
    ]
    table = numbers(texts, (texts.panels.header, *(course.category for course in courses)), cells, words=0)
    return Exhibit("panels", texts.panels.title, finding, texts.panels.note, charts, table, shape="panels")


def _panel(course: _Course, whole: Sequence[date], reach: float, texts: Texts) -> Chart:
    formats, average = texts.formats, texts.formats.short_money(course.average)
    lowest, highest = min(course.changes), max(course.changes)
    named = {course.changes.index(lowest), course.changes.index(highest)}

    def at(place: int) -> tuple[float, float]:
        return place / (len(whole) - 1), course.changes[place] / reach / 2 + 0.5

    marks = [
        Mark(
            formats.month(month),
            at(place)[1],
            "",
            [course.category, f"{formats.whole_month(month)}: {formats.change(course.changes[place])}"],
            "named" if place in named else "",
            at(place)[0],
        )
        for place, month in enumerate(whole)
    ]
    notes = [
        Note(
            "above" if course.changes[place] > 0 else "below",
            *at(place),
            formats.change(course.changes[place]),
        )
        for place in sorted(named)
    ]
    subtitle = texts.panel_average.format(average=average)
    return Chart("line", marks, [*notes, *year_notes(whole)], title=course.category, subtitle=subtitle)


def _courses(figures: SalesFigures, whole: Sequence[date]) -> list[_Course]:
    revenue = {(row.category, row.month): float(row.revenue) for row in figures.months}
    courses = []
    for category, *_ in figures.categories[:_MOST_PANELS]:
        prices = figures.prices_of(category)
        days = [last_day(month).day for month in whole]
        values = [
            prices.revenue_of(revenue.get((category, month), 0.0), length)
            for month, length in zip(whole, days, strict=True)
        ]
        if average := sum(revenue.get((category, month), 0.0) for month in whole) / max(sum(days), 1):
            ends = (max(values), min(values))
            courses.append(_Course(category, average, [each.value / average - 1 for each in values], ends))
    return courses
