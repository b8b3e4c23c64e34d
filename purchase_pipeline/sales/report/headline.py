"""The figures at the top of the page, each with its course over the months and its change."""

from collections.abc import Sequence

from purchase_pipeline.sales.report.chance import count_of
from purchase_pipeline.sales.report.day_exhibits import change_cell, sums_of
from purchase_pipeline.sales.report.exhibit import ratio
from purchase_pipeline.sales.report.figures import SalesFigures
from purchase_pipeline.sales.report.month_exhibits import sales_of_months
from purchase_pipeline.sales.report.periods import Span, comparisons
from purchase_pipeline.sales.report.quality import Fact
from purchase_pipeline.sales.report.texts import Texts


def headline(figures: SalesFigures, texts: Texts) -> list[Fact]:
    """Return revenue, purchases, average ticket and customers."""
    formats = texts.formats
    whole = [month for month in sales_of_months(figures) if month.whole]
    changes = _changes(figures, texts)
    money = [month.a_day for month in whole]
    bought = [month.purchases / month.days for month in whole]
    tickets = [ratio(month.revenue, month.purchases) for month in whole]
    facts = [
        Fact(
            "revenue",
            texts.revenue,
            formats.short_money(figures.revenue),
            formats.money(figures.revenue),
            changes[0],
            line(money),
        ),
        Fact("purchases", texts.purchases, formats.number(figures.purchases), "", changes[1], line(bought)),
        Fact(
            "ticket",
            texts.ticket,
            formats.money(ratio(figures.revenue, figures.purchases)),
            "",
            changes[2],
            line(tickets),
        ),
        Fact("customers", texts.customers, formats.number(figures.customers), texts.customers_note),
    ]
    return facts if figures.customers else facts[:-1]


def _changes(figures: SalesFigures, texts: Texts) -> list[str]:
    """Return the changes of revenue, purchases and ticket between the longest whole periods, by day."""
    found = comparisons(Span(*figures.period)) if figures.period else ()
    if not found:
        return [""] * 3
    now, before = sums_of(figures, found[0].now), sums_of(figures, found[0].before)
    prices = figures.prices
    pairs = (
        (
            prices.revenue_of(float(now.revenue), now.days),
            prices.revenue_of(float(before.revenue), before.days),
        ),
        (count_of(now.purchases, now.days), count_of(before.purchases, before.days)),
        (
            prices.ticket_of(now.purchases, float(now.revenue)),
            prices.ticket_of(before.purchases, float(before.revenue)),
        ),
    )
    label = texts.comparisons[found[0].key]
    return [f"{change_cell(*pair, texts).text} · {label}" for pair in pairs]


def line(values: Sequence[float]) -> str:
    """Return the points of a line from zero to the highest value, in a square of 100; empty for too few values."""
    highest = max(values, default=0)
    if len(values) < 2 or not highest:  # noqa: PLR2004  # a line has two ends
        return ""
    step = 100 / (len(values) - 1)
    return " ".join(
        f"{place * step:.1f},{100 - value / highest * 100:.1f}" for place, value in enumerate(values)
    )
