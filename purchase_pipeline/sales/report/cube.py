"""What the script of the page filters: sums by month and store, as compact JSON.

Amounts are whole centavos, which JavaScript adds exactly up to `_MOST_CENTAVOS`. Each sum has a number, made of its
month, store and name; the numbers are ascending, and written as differences, which are mostly 1.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from operator import attrgetter
from typing import Any

from markupsafe import Markup

from purchase_pipeline.ingest.printable import printable
from purchase_pipeline.sales.report.brazil import tile_of
from purchase_pipeline.sales.report.chance import STANDARD_ERRORS
from purchase_pipeline.sales.report.figures import CustomerSales, MonthAndStoreSales, SalesFigures
from purchase_pipeline.sales.report.periods import Span, months_of
from purchase_pipeline.sales.report.texts import LANGUAGES, Texts

_MOST_SUMS = 150_000  # about 2 MB
_MOST_CENTAVOS = 2**53

_NAMES: Mapping[str, Callable[[Any], Any]] = {
    "day": attrgetter("day.day"),
    "product": attrgetter("product", "brand", "category"),
    "state": attrgetter("state"),
    "payment type": attrgetter("payment_type"),
}
"""The name of a row of each cut."""


def has_filters(figures: SalesFigures) -> bool:
    """Return whether the sums by month and store fit into the page, and a JavaScript number."""
    both = (len(figures.by_month_and_store), len(figures.customer_sales))
    return all(both) and sum(both) <= _MOST_SUMS and figures.revenue * 100 < _MOST_CENTAVOS


def figures_json(figures: SalesFigures) -> Markup:
    """Return the sums and texts as JSON that is safe inside a script element."""
    content: dict[str, Any] = {"texts": {texts.code: _texts(texts, figures) for texts in LANGUAGES}}
    if figures.period and has_filters(figures):
        content |= _cube(figures, Span(*figures.period))
    # Escaped, `<` cannot end the element; all beyond ASCII is escaped, so no line separator ends a line of script.
    return Markup(json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"))  # noqa: S704


def _cube(figures: SalesFigures, data: Span) -> dict[str, Any]:
    months = [month.first for month in months_of(data)]
    stores = sorted({row.store for row in figures.by_month_and_store})
    cuts = {
        cut: _packed([row for row in figures.by_month_and_store if row.cut == cut], name, months, stores)
        for cut, name in _NAMES.items()
    }
    customers = _packed(
        figures.customer_sales, attrgetter("from_age", "age_band", "returning"), months, stores
    )
    tiles = {name: tile_of(name) for (name,) in cuts["state"]["names"]}
    return {
        "first": data.first.isoformat(),
        "last": data.last.isoformat(),
        "months": [month.isoformat() for month in months],
        "stores": stores,
        "standardErrors": STANDARD_ERRORS,
        "tiles": {name: (tile.code, tile.cell) for name, tile in tiles.items() if tile},
        "cuts": cuts | {"customers": customers},
    }


def _packed(
    rows: Sequence[MonthAndStoreSales | CustomerSales],
    name: Callable[[Any], Any],
    months: Sequence[date],
    stores: Sequence[int],
) -> dict[str, Any]:
    """Number each row by month, store and name, and return the columns in the order of these numbers."""
    named = [name(row) for row in rows]
    names = sorted(set(named))
    name_place, month_place, store_place = (
        {each: place for place, each in enumerate(every)} for every in (names, months, stores)
    )
    ids = [
        (month_place[row.month] * len(stores) + store_place[row.store]) * len(names) + name_place[each]
        for row, each in zip(rows, named, strict=True)
    ]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    ordered, rows = sorted(ids), [rows[place] for place in order]
    return {
        "names": [_printable(each if isinstance(each, tuple) else (each,)) for each in names],
        "ids": [number - before for number, before in zip(ordered, [0, *ordered], strict=False)],
        "purchases": [row.purchases for row in rows],
        "cents": [int(row.revenue * 100) for row in rows],
        "squares": [round(row.squares * 10_000) for row in rows if isinstance(row, CustomerSales)],
    }


def _printable(name: Sequence[object]) -> list[object]:
    return [printable(part) if isinstance(part, str) else part for part in name]


def _texts(texts: Texts, figures: SalesFigures) -> dict[str, Any]:
    """Return the texts of a language, with the names of months and weekdays."""
    formats = texts.formats
    months = list(months_of(Span(*figures.period))) if figures.period else []
    return asdict(texts) | {
        "formats": {
            "locale": formats.locale,
            "scales": formats.scales,
            "weekdays": formats.weekdays,
            "months": formats.months,
            "shortMonths": {month.first.isoformat(): formats.month(month.first) for month in months},
            "longMonths": {month.first.isoformat(): formats.whole_month(month.first) for month in months},
        }
    }
