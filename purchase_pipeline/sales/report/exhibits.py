"""Exhibits that rank names: products, stores, states, ...; None for an empty mart."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from math import sqrt

from purchase_pipeline.sales.report.brazil import tile_of
from purchase_pipeline.sales.report.chance import Estimate, claim
from purchase_pipeline.sales.report.exhibit import (
    Cell,
    Chart,
    Exhibit,
    Mark,
    Note,
    Numbers,
    count,
    money,
    numbers,
    percent,
    ratio,
    tip,
)
from purchase_pipeline.sales.report.figures import NamedSales, SalesFigures
from purchase_pipeline.sales.report.texts import ExhibitTexts, Texts

_TOP = 10
_MOST_BARS = 12
_STEPS = 5


def categories(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show the revenue of each category."""
    return _by_revenue("categories", figures.categories, figures, texts)


def stores(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show the revenue of each store."""
    exhibit = _by_revenue("stores", _named_stores(figures, texts), figures, texts)
    return exhibit and _in_page_language(exhibit, texts)


def payments(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show the revenue of each payment type."""
    return _by_revenue("payments", figures.payments, figures, texts)


def brands(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show the top brands."""
    rows = [NamedSales(row.brand, row.purchases, row.revenue) for row in figures.brands]
    return _by_revenue("brands", rows, figures, texts, top=_TOP)


def products(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show the top products; the table includes the brand, because two brands may use the same name."""
    rows = [NamedSales(row.product, row.purchases, row.revenue) for row in figures.products]
    exhibit = _by_revenue("products", rows, figures, texts, top=_TOP)
    if exhibit is None:
        return None
    headers = (texts.products.header, texts.brands.header, *exhibit.numbers.headers[1:])
    cells = [
        (Cell(row.product), Cell(row.brand), *_sums(row.purchases, row.revenue, figures.revenue, texts))
        for row in figures.products
    ]
    return replace(exhibit, numbers=numbers(texts, headers, cells, words=2))


def states(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show revenue by state on a map; other values of the column appear only in the table."""
    exhibit = _by_revenue("states", figures.states, figures, texts)
    if exhibit is None:
        return None
    scale = texts.formats.scale(figures.states[0].revenue)

    def written(row: NamedSales) -> str:
        return texts.formats.number(float(row.revenue) / scale.size, scale.places)

    chart = _tiles(figures.states, lambda row: float(row.revenue), written, texts.formats.short_money, texts)
    return replace(exhibit, charts=[chart], title=texts.states.title.format(unit=scale.name))


def state_tickets(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show the average ticket by state on a map."""
    rows = _by_average(figures.states)
    if not rows:
        return None
    number = texts.formats.number
    chart = _tiles(rows, _ticket, lambda row: number(_ticket(row)), texts.formats.number, texts)
    return replace(_tickets("state_tickets", rows, figures, texts), charts=[chart])


def store_tickets(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show the average ticket by store."""
    rows = _by_average(_named_stores(figures, texts))
    if not rows:
        return None
    return _in_page_language(_tickets("store_tickets", rows, figures, texts), texts)


def _named_stores(figures: SalesFigures, texts: Texts) -> list[NamedSales]:
    return [row._replace(name=texts.store.format(name=row.name)) for row in figures.stores]


def _in_page_language(exhibit: Exhibit, texts: Texts) -> Exhibit:
    return replace(exhibit, numbers=exhibit.numbers._replace(words_language=texts.code))


def _by_revenue(
    key: str,
    rows: Sequence[NamedSales],
    figures: SalesFigures,
    texts: Texts,
    top: int = _MOST_BARS,
) -> Exhibit | None:
    """Show rows that are ordered by revenue, highest first."""
    if not rows:
        return None
    words = _words(texts, key)
    together = sum((row.revenue for row in rows[:top]), Decimal(0))
    finding = say(
        texts,
        words,
        [figures.prices.revenue_of(float(row.revenue)) for row in rows],
        **_ends(rows, lambda row: texts.formats.short_money(row.revenue)),
        share=texts.formats.percent(ratio(rows[0].revenue, figures.revenue)),
        count=str(len(rows[:top])),
        together=texts.formats.percent(ratio(together, figures.revenue)),
    )
    charts = [_bars(rows[:top], lambda row: float(row.revenue), texts.formats.short_money, texts)]
    return Exhibit(key, words.title, finding, words.note, charts, _table(rows, words, figures, texts))


def _tickets(key: str, rows: Sequence[NamedSales], figures: SalesFigures, texts: Texts) -> Exhibit:
    """Show rows that are ordered by average ticket, highest first."""
    words = _words(texts, key)
    finding = say(
        texts,
        words,
        [figures.prices.ticket_of(row.purchases, float(row.revenue)) for row in rows],
        **_ends(rows, lambda row: texts.formats.money(_ticket(row))),
    )
    charts = [_bars(rows[:_MOST_BARS], _ticket, texts.formats.money, texts)]
    return Exhibit(key, words.title, finding, words.note, charts, _table(rows, words, figures, texts))


def _words(texts: Texts, key: str) -> ExhibitTexts:
    words: ExhibitTexts = getattr(texts, key)
    return words


def say(texts: Texts, words: ExhibitTexts, ordered: Sequence[Estimate], **facts: str) -> str:
    """Return the finding that the estimates allow, highest first."""
    made = claim(ordered)
    return (words.finding if made == "leads" else texts.claims[made]).format(**facts)


def _ends(rows: Sequence[NamedSales], written: Callable[[NamedSales], str]) -> dict[str, str]:
    return {
        "best": rows[0].name,
        "second": rows[min(1, len(rows) - 1)].name,
        "most": written(rows[0]),
        "least": written(rows[-1]),
    }


def _ticket(row: NamedSales) -> float:
    return ratio(row.revenue, row.purchases)


def _by_average(rows: Sequence[NamedSales]) -> list[NamedSales]:
    return sorted(rows, key=lambda row: (-_ticket(row), row.name))


def _bars(
    rows: Sequence[NamedSales],
    value: Callable[[NamedSales], float],
    written: Callable[[float], str],
    texts: Texts,
) -> Chart:
    longest = max(value(row) for row in rows)
    return Chart(
        "bars",
        [
            Mark(
                row.name,
                ratio(value(row), longest),
                written(value(row)),
                tip(texts, row.name, row.purchases, row.revenue),
            )
            for row in rows
        ],
    )


def _tiles(
    rows: Sequence[NamedSales],
    value: Callable[[NamedSales], float],
    written: Callable[[NamedSales], str],
    end: Callable[[float], str],
    texts: Texts,
) -> Chart:
    """Return a map of rows ordered by value, highest first: position identifies the state, colour its value.

    The colour starts at zero, so that values which hardly differ look the same; the square root sets small ones apart.
    """
    most = value(rows[0])
    marks = [
        Mark(
            tile.code,
            1,
            written(row),
            tip(texts, row.name, row.purchases, row.revenue),
            f"step-{min(int(sqrt(ratio(value(row), most)) * _STEPS), _STEPS - 1)}",
            tile.cell,
        )
        for row in sorted(rows, key=lambda row: row.name)
        if (tile := tile_of(row.name))
    ]
    ends = (Note("least", 0, 0, "0"), Note("most", 0, 0, end(most)))
    return Chart("tiles", marks, ends if marks else ())


def _table(rows: Sequence[NamedSales], words: ExhibitTexts, figures: SalesFigures, texts: Texts) -> Numbers:
    cells = [(Cell(row.name), *_sums(row.purchases, row.revenue, figures.revenue, texts)) for row in rows]
    headers = (words.header, texts.purchases, texts.revenue, texts.ticket, texts.share)
    return numbers(texts, headers, cells)


def _sums(purchases: int, revenue: Decimal, total: Decimal, texts: Texts) -> list[Cell]:
    return [
        count(texts, purchases),
        money(texts, revenue),
        money(texts, ratio(revenue, purchases)),
        percent(texts, ratio(revenue, total)),
    ]
