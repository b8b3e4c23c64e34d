"""Revenue by month, and what other exhibits by month share."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from math import ceil, log10
from typing import NamedTuple

from purchase_pipeline.sales.report.chance import Claim, claim
from purchase_pipeline.sales.report.exhibit import (
    Cell,
    Chart,
    Exhibit,
    Mark,
    Note,
    count,
    money,
    numbers,
    ratio,
    tip,
)
from purchase_pipeline.sales.report.figures import SalesFigures
from purchase_pipeline.sales.report.formats import Scale
from purchase_pipeline.sales.report.periods import Span, last_day, months_of
from purchase_pipeline.sales.report.texts import Texts

_ROOM_FOR_A_YEAR = 4
_MOST_LINES = 4


class Month(NamedTuple):
    """The sales of a month; `whole` is false if the data do not include all its days."""

    month: date
    purchases: int
    revenue: Decimal
    whole: bool

    @property
    def days(self) -> int:
        """Number of days."""
        return last_day(self.month).day

    @property
    def a_day(self) -> float:
        """Revenue per day: months differ in days, so claims about months are about this."""
        return ratio(self.revenue, self.days)


def sales_of_months(figures: SalesFigures) -> list[Month]:
    """Return every month of the period, including those without purchases."""
    if (period := figures.period) is None:
        return []
    data = Span(*period)
    purchases, revenue = defaultdict[date, int](int), defaultdict[date, Decimal](Decimal)
    for day in figures.days:
        purchases[day.day.replace(day=1)] += day.purchases
        revenue[day.day.replace(day=1)] += day.revenue
    return [
        Month(
            month.first,
            purchases[month.first],
            revenue[month.first],
            whole=data.first <= month.first and month.last <= data.last,
        )
        for month in months_of(data)
    ]


def months(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show revenue by month; the best month is a whole one, if there is any."""
    formats, rows = texts.formats, sales_of_months(figures)
    if not rows:
        return None
    whole = [row for row in rows if row.whole] or rows
    ordered = sorted(whole, key=lambda row: (-row.revenue, row.month))
    best, made = ordered[0], _claim(whole, figures)
    average = ratio(sum(row.revenue for row in whole), len(whole))
    scale = formats.scale(best.revenue)
    finding = (texts.months.finding if made == "leads" else texts.months_claims[made]).format(
        average=formats.short_money(average),
        best=formats.whole_month(best.month),
        most=formats.short_money(best.revenue),
        least=formats.short_money(ordered[-1].revenue),
    )
    named = best if made == "leads" else None
    chart = Chart("months", *_drawn(rows, named, average, scale, texts))
    cells = [
        (
            Cell(formats.month(row.month), row.month.isoformat()),
            count(texts, row.purchases),
            money(texts, row.revenue),
            money(texts, ratio(row.revenue, row.purchases)),
        )
        for row in rows
    ]
    headers = (texts.months.header, texts.purchases, texts.revenue, texts.ticket)
    return Exhibit(
        "months",
        texts.months.title.format(unit=scale.name),
        finding,
        texts.months.note,
        [chart],
        numbers(texts, headers, cells, words=0),
        shape="full",
    )


def _drawn(
    rows: Sequence[Month], named: Month | None, average: float, scale: Scale, texts: Texts
) -> tuple[list[Mark], list[Note]]:
    """Return a column for each month, and the axis, the average, the years and the best month's name."""
    formats = texts.formats
    highest = float(max(row.revenue for row in rows)) * 1.02 or 1.0
    marks = [
        Mark(
            formats.month(row.month),
            float(row.revenue) / highest,
            "",
            [
                *tip(texts, formats.whole_month(row.month), row.purchases, row.revenue),
                *([] if row.whole else [texts.incomplete]),
            ],
            "part" if not row.whole else "best" if row == named else "",
        )
        for row in rows
    ]
    notes = [
        *(
            Note("line", 0, line * scale.size / highest, formats.number(line, 0 if line == int(line) else 1))
            for line in round_lines(highest / scale.size)
        ),
        Note("average", 0, average / highest),
        *year_notes([row.month for row in rows]),
    ]
    if named:
        x, y = (rows.index(named) + 0.5) / len(rows), float(named.revenue) / highest
        notes.append(Note("named", x, y, formats.month(named.month)))
    return marks, notes


def _claim(whole: Sequence[Month], figures: SalesFigures) -> Claim:
    """Return what may be said of the best month: it must also be the best by day."""
    by_day = sorted(whole, key=lambda row: (-row.a_day, row.month))
    made = claim([figures.prices.revenue_of(float(row.revenue), row.days) for row in by_day])
    return "tied" if made == "leads" and by_day[0].revenue < max(row.revenue for row in whole) else made


def round_lines(highest: float) -> Iterator[float]:
    """Yield up to four round numbers up to the highest: the lines of an axis."""
    step = highest / _MOST_LINES
    size = 10.0 ** ceil(log10(step) - 1)
    step = next(each for each in (size, 2 * size, 5 * size, 10 * size) if each >= step)
    line = step
    while line <= highest:
        yield round(line, 6)
        line += step


def year_notes(shown: Sequence[date]) -> Iterator[Note]:
    """Yield a note below the first month of each year that has room for it."""
    for place, month in enumerate(shown):
        following = shown[place : place + _ROOM_FOR_A_YEAR]
        first = place == 0 or month.year != shown[place - 1].year
        if (
            first
            and len(following) == _ROOM_FOR_A_YEAR
            and {other.year for other in following} == {month.year}
        ):
            yield Note("year", place / len(shown), 0, str(month.year))
