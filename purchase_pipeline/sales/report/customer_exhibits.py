"""Exhibits of customers: by age, and those who return. A customer is counted at the first purchase."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from purchase_pipeline.sales.report.chance import count_of
from purchase_pipeline.sales.report.exhibit import (
    Cell,
    Chart,
    Exhibit,
    Mark,
    Note,
    count,
    money,
    numbers,
    percent,
    ratio,
)
from purchase_pipeline.sales.report.exhibits import say
from purchase_pipeline.sales.report.figures import SalesFigures
from purchase_pipeline.sales.report.month_exhibits import sales_of_months, year_notes
from purchase_pipeline.sales.report.texts import Texts


@dataclass
class _Returned:
    """Purchases of a month by customers who had bought before, next to all."""

    purchases: int = 0
    revenue: Decimal = Decimal(0)
    all_purchases: int = 0
    all_revenue: Decimal = Decimal(0)

    def add(self, purchases: int, revenue: Decimal, *, returning: bool) -> None:
        self.all_purchases += purchases
        self.all_revenue += revenue
        if returning:
            self.purchases += purchases
            self.revenue += revenue

    @property
    def of_purchases(self) -> float:
        return ratio(self.purchases, self.all_purchases)

    @property
    def of_revenue(self) -> float:
        return ratio(self.revenue, self.all_revenue)


def ages(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show customers by age."""
    formats, bands = texts.formats, figures.age_bands
    if not bands:
        return None
    largest = max(band.customers for band in bands)
    marks = [
        Mark(
            band.age_band,
            ratio(band.customers, largest),
            formats.percent(ratio(band.customers, figures.customers)),
            [band.age_band, f"{texts.customers}: {formats.number(band.customers)}"],
        )
        for band in bands
    ]
    ordered = sorted(bands, key=lambda band: (-band.customers, band.from_age))
    finding = say(
        texts,
        texts.ages,
        [count_of(band.customers) for band in ordered],
        best=ordered[0].age_band,
        second=ordered[min(1, len(ordered) - 1)].age_band,
        count=formats.number(ordered[0].customers),
        share=formats.percent(ratio(ordered[0].customers, figures.customers)),
        most=formats.number(ordered[0].customers),
        least=formats.number(ordered[-1].customers),
    )
    cells = [
        (
            Cell(band.age_band, str(band.from_age)),
            count(texts, band.customers),
            percent(texts, ratio(band.customers, figures.customers)),
        )
        for band in bands
    ]
    table = numbers(texts, (texts.ages.header, texts.customers, texts.share_of_customers), cells, words=0)
    return Exhibit("ages", texts.ages.title, finding, texts.ages.note, [Chart("columns", marks)], table)


def returning(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show the share of each month's revenue from customers who had bought before."""
    if not figures.customer_sales:
        return None
    formats, everything, months = texts.formats, _Returned(), defaultdict[date, _Returned](_Returned)
    for row in figures.customer_sales:
        for sums in (everything, months[row.month]):
            sums.add(row.purchases, row.revenue, returning=row.returning)
    shown = [(month.month, months[month.month]) for month in sales_of_months(figures)]
    highest = max(each.of_revenue for _, each in shown) or 1.0
    marks = [
        Mark(
            formats.month(month),
            each.of_revenue / highest,
            "",
            [
                formats.whole_month(month),
                f"{texts.returning.header}: {formats.percent(each.of_purchases)}",
                f"{texts.share}: {formats.percent(each.of_revenue)}",
            ],
        )
        for month, each in shown
    ]
    cells = [
        (
            Cell(formats.month(month), month.isoformat()),
            count(texts, each.purchases),
            percent(texts, each.of_purchases),
            money(texts, each.revenue),
            percent(texts, each.of_revenue),
        )
        for month, each in shown
    ]
    words = texts.returning
    finding = words.finding.format(
        share=formats.percent(everything.of_purchases), together=formats.percent(everything.of_revenue)
    )
    headers = (texts.months.header, words.header, texts.share_of_purchases, texts.revenue, texts.share)
    notes = [Note("top", 0, 1, formats.percent(highest)), *year_notes([month for month, _ in shown])]
    charts = [Chart("months", marks, notes)]
    return Exhibit(
        "returning", words.title, finding, words.note, charts, numbers(texts, headers, cells, words=0)
    )
