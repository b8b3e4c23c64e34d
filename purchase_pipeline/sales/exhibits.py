"""What is told of each mart that does not go by the month: its finding, its chart, its numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from purchase_pipeline.sales.brazil import tile_of
from purchase_pipeline.sales.charts import Bar, TileValue, bars, columns, tiles
from purchase_pipeline.sales.exhibit import Exhibit, Numbers, Picture, numbers, ratio
from purchase_pipeline.sales.figures import NamedSales, SalesFigures
from purchase_pipeline.sales.texts import ExhibitTexts, Texts

_TOP = 10
_MOST_BARS = 12


def categories(figures: SalesFigures, texts: Texts) -> Exhibit:
    """Tell what share of the revenue each category has."""
    return _ranked("categories", texts.categories, texts.category, sales_by_category(figures), figures, texts)


def stores(figures: SalesFigures, texts: Texts) -> Exhibit:
    """Tell how far the stores lie apart."""
    rows = [row._replace(name=texts.store.format(name=row.name)) for row in figures.stores]
    return _ranked("stores", texts.stores, texts.store.format(name="").strip(), rows, figures, texts)


def payments(figures: SalesFigures, texts: Texts) -> Exhibit:
    """Tell how purchases are paid."""
    return _ranked("payments", texts.payments, texts.payment, figures.payments, figures, texts)


def brands(figures: SalesFigures, texts: Texts) -> Exhibit:
    """Tell which brands sell best."""
    rows = [NamedSales(row.brand, row.purchases, row.revenue) for row in figures.brands]
    return _ranked("brands", texts.brands, texts.brand, rows, figures, texts, top=_TOP)


def products(figures: SalesFigures, texts: Texts) -> Exhibit:
    """Tell which products sell best; the numbers name their brand too, without which two may share a name."""
    rows = [NamedSales(row.product, row.purchases, row.revenue) for row in figures.products]
    exhibit = _ranked("products", texts.products, texts.product, rows, figures, texts, top=_TOP)
    headers = (texts.product, texts.brand, texts.purchases, texts.revenue)
    cells = [
        (row.product, row.brand, texts.formats.number(row.purchases), texts.formats.money(row.revenue))
        for row in figures.products
    ]
    return replace(exhibit, numbers=numbers(texts, headers, cells, words=2))


def ages(figures: SalesFigures, texts: Texts) -> Exhibit:
    """Tell how old the customers are."""
    formats, bands = texts.formats, figures.age_bands
    shares = [ratio(band.customers, figures.customers) for band in bands]
    most = max(bands, key=lambda band: band.customers)
    finding = texts.ages.finding.format(
        best=most.age_band, count=formats.number(most.customers), share=formats.percent(max(shares))
    )
    shown = [
        Bar(band.age_band, band.customers, formats.percent(share, 0))
        for band, share in zip(bands, shares, strict=True)
    ]
    rows = [
        (
            band.age_band,
            formats.number(band.customers),
            formats.number(band.purchases),
            formats.money(band.revenue),
        )
        for band in bands
    ]
    headers = (texts.age, texts.customers, texts.purchases, texts.revenue)
    picture = Picture(columns(shown), finding)
    table = numbers(texts, headers, rows, words=0)
    return Exhibit("ages", texts.ages.title, finding, texts.ages.note, [picture], table)


def states(figures: SalesFigures, texts: Texts) -> Exhibit:
    """Tell how the revenue lies over the country; what is no state of Brazil is in the numbers alone."""
    formats, rows = texts.formats, figures.states
    facts = _facts(rows, figures.revenue, texts)
    most, least = rows[0].revenue, rows[-1].revenue
    size, unit = formats.scale(most)
    shown = [
        TileValue(
            tile.code,
            tile.row,
            tile.column,
            ratio(row.revenue - least, most - least),
            formats.number(float(row.revenue) / size, 1),
        )
        for row in rows
        if (tile := tile_of(row.name))
    ]
    finding = texts.states.finding.format(**facts)
    picture = Picture(tiles(shown, facts["least"], facts["most"]), finding)
    title = texts.states.title.format(unit=f"{formats.currency}{unit}".strip())
    table = _numbers_of(rows, texts.state, figures.revenue, texts)
    return Exhibit("states", title, finding, texts.states.note, [picture], table)


def sales_by_category(figures: SalesFigures) -> list[NamedSales]:
    """Add the months up, the greatest revenue first."""
    sums: dict[str, NamedSales] = {}
    for row in figures.months:
        before = sums.get(row.category, NamedSales(row.category, 0, Decimal(0)))
        sums[row.category] = NamedSales(
            row.category, before.purchases + row.purchases, before.revenue + row.revenue
        )
    return sorted(sums.values(), key=lambda row: (-row.revenue, row.name))


def _ranked(  # noqa: PLR0913  # what a ranking is of, and of what whole
    name: str,
    words: ExhibitTexts,
    header: str,
    rows: Sequence[NamedSales],
    figures: SalesFigures,
    texts: Texts,
    top: int = _MOST_BARS,
) -> Exhibit:
    """Tell of rows that are ordered by revenue, the greatest first."""
    formats = texts.formats
    shown = [
        Bar(
            row.name,
            float(row.revenue),
            f"{formats.short_money(row.revenue)} · {formats.percent(ratio(row.revenue, figures.revenue))}",
        )
        for row in rows[:top]
    ]
    finding = words.finding.format(**_facts(rows, figures.revenue, texts, top))
    table = _numbers_of(rows, header, figures.revenue, texts)
    return Exhibit(name, words.title, finding, words.note, [Picture(bars(shown), finding)], table)


def _facts(
    rows: Sequence[NamedSales], total: Decimal, texts: Texts, top: int | None = None
) -> Mapping[str, str]:
    """Return what a finding may say of rows that are ordered by revenue."""
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
