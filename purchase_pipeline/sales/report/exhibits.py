"""Exhibits of the marts that are not by month; None for an empty mart."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from purchase_pipeline.sales.report.brazil import tile_of
from purchase_pipeline.sales.report.charts import Bar, bars, columns
from purchase_pipeline.sales.report.exhibit import Exhibit, Numbers, Picture, numbers, ratio
from purchase_pipeline.sales.report.figures import NamedSales, SalesFigures
from purchase_pipeline.sales.report.formats import Scale
from purchase_pipeline.sales.report.texts import ExhibitTexts, Texts
from purchase_pipeline.sales.report.tile_chart import TileValue, tiles

_TOP = 10
_MOST_BARS = 12


def categories(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show the revenue of each category."""
    return _ranked(texts.categories, sales_by_category(figures), figures.revenue, texts)


def stores(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show the revenue of each store."""
    rows = [row._replace(name=texts.store.format(name=row.name)) for row in figures.stores]
    exhibit = _ranked(texts.stores, rows, figures.revenue, texts)
    return exhibit and replace(exhibit, numbers=exhibit.numbers._replace(words_language=texts.code))


def payments(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show the revenue of each payment type."""
    return _ranked(texts.payments, figures.payments, figures.revenue, texts)


def brands(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show the top brands."""
    rows = [NamedSales(row.brand, row.purchases, row.revenue) for row in figures.brands]
    return _ranked(texts.brands, rows, figures.revenue, texts, top=_TOP)


def products(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show the top products; the table includes the brand, because two brands may use the same name."""
    rows = [NamedSales(row.product, row.purchases, row.revenue) for row in figures.products]
    exhibit = _ranked(texts.products, rows, figures.revenue, texts, top=_TOP)
    headers = (texts.products.header, texts.brands.header, texts.purchases, texts.revenue)
    cells = [
        (row.product, row.brand, texts.formats.number(row.purchases), texts.formats.money(row.revenue))
        for row in figures.products
    ]
    return exhibit and replace(exhibit, numbers=numbers(texts, headers, cells, words=2))


def ages(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show customers by age."""
    formats, bands = texts.formats, figures.age_bands
    if not bands:
        return None
    shares = [formats.percent(ratio(band.customers, figures.customers)) for band in bands]
    shown = [Bar(band.age_band, band.customers, share) for band, share in zip(bands, shares, strict=True)]
    most = max(shown, key=lambda bar: bar.value)
    finding = texts.ages.finding.format(best=most.name, count=formats.number(most.value), share=most.written)
    cells = [
        (
            band.age_band,
            formats.number(band.customers),
            formats.number(band.purchases),
            formats.money(band.revenue),
        )
        for band in bands
    ]
    headers = (texts.ages.header, texts.customers, texts.purchases, texts.revenue)
    table = numbers(texts, headers, cells, words=0)
    return Exhibit(texts.ages.title, finding, texts.ages.note, [Picture(columns(shown), finding)], table)


def states(figures: SalesFigures, texts: Texts) -> Exhibit | None:
    """Show revenue by state on a map; other values of the column appear only in the table."""
    rows = figures.states
    if not rows:
        return None
    scale = texts.formats.scale(rows[0].revenue)
    facts = _facts(rows, figures.revenue, texts)
    finding = texts.states.finding.format(**facts)
    picture = Picture(tiles(_tiles(rows, scale, texts), facts["least"], facts["most"]), finding)
    title = texts.states.title.format(unit=scale.name)
    table = _numbers_of(rows, texts.states.header, figures.revenue, texts)
    return Exhibit(title, finding, texts.states.note, [picture], table)


def _tiles(rows: Sequence[NamedSales], scale: Scale, texts: Texts) -> list[TileValue]:
    most, least = rows[0].revenue, rows[-1].revenue
    return [
        TileValue(
            code=tile.code,
            row=tile.row,
            column=tile.column,
            share=ratio(row.revenue - least, most - least),
            written=texts.formats.number(float(row.revenue) / scale.size, scale.places),
        )
        for row in rows
        if (tile := tile_of(row.name))
    ]


def sales_by_category(figures: SalesFigures) -> list[NamedSales]:
    """Sum the months of each category, highest revenue first."""
    sums: dict[str, NamedSales] = {}
    for row in figures.months:
        before = sums.get(row.category, NamedSales(row.category, 0, Decimal(0)))
        sums[row.category] = NamedSales(
            row.category, before.purchases + row.purchases, before.revenue + row.revenue
        )
    return sorted(sums.values(), key=lambda row: (-row.revenue, row.name))


def _ranked(
    words: ExhibitTexts, rows: Sequence[NamedSales], total: Decimal, texts: Texts, top: int = _MOST_BARS
) -> Exhibit | None:
    """Show rows that are ordered by revenue, highest first."""
    if not rows:
        return None
    shown = [Bar(row.name, float(row.revenue), texts.formats.short_money(row.revenue)) for row in rows[:top]]
    finding = words.finding.format(**_facts(rows, total, texts, top))
    table = _numbers_of(rows, words.header, total, texts)
    return Exhibit(words.title, finding, words.note, [Picture(bars(shown), finding)], table)


def _facts(
    rows: Sequence[NamedSales], total: Decimal, texts: Texts, top: int | None = None
) -> Mapping[str, str]:
    """Return the values for the finding's text, from rows ordered by revenue."""
    formats, first, last = texts.formats, rows[0], rows[-1]
    together = sum((row.revenue for row in rows[:top]), Decimal(0))
    return {
        "best": first.name,
        "last": last.name,
        "most": formats.short_money(first.revenue),
        "least": formats.short_money(last.revenue),
        "share": formats.percent(ratio(first.revenue, total)),
        "gap": formats.percent(ratio(first.revenue - last.revenue, last.revenue)),
        "count": str(len(rows[:top])),
        "together": formats.percent(ratio(together, total)),
    }


def _numbers_of(rows: Sequence[NamedSales], header: str, total: Decimal, texts: Texts) -> Numbers:
    formats = texts.formats
    cells = [
        (
            row.name,
            formats.number(row.purchases),
            formats.money(row.revenue),
            formats.percent(ratio(row.revenue, total)),
        )
        for row in rows
    ]
    return numbers(texts, (header, texts.purchases, texts.revenue, texts.share), cells)
