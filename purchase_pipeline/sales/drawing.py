"""How a chart becomes SVG that may stand in the page: Vega-Lite laid out by vl-convert, cleaned of what it repeats."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import altair as alt
import vl_convert

from purchase_pipeline.sales.formats import Locale

WIDTH = 340
"""Of a chart in a column of the page, and of a phone's screen: so that its letters have one size on both."""

TEXT, SMALL = 13, 12
"""Sizes of the letters."""

_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"stroke": None},
    "aria": False,
}
_SELF_DESCRIPTION = re.compile(r'<g class="[^"]*"(?: role="[^"]*")?(?: aria-[a-z]+="[^"]*")*')
_BACKGROUND = re.compile(r'<path class="(?:back|fore)ground"[^>]*/>')
_FONT = re.compile(r' font-family="sans-serif"')


class Drawn(NamedTuple):
    """What stands within an `<svg>` element, and that element's size. Texts in it are escaped."""

    width: int
    height: int
    body: str


def data(rows: Iterable[Mapping[str, Any]]) -> alt.InlineData:
    """Return rows as a chart takes them."""
    return alt.InlineData(values=list(rows))


def draw(*layers: alt.Chart, height: int, width: int = WIDTH, locale: Locale = "en-US") -> Drawn:
    """Draw layers over each other. Nothing is fetched; its own description of itself is left to the page's."""
    chart = alt.layer(*layers).properties(width=width, height=height, padding=0, autosize="none")
    svg = vl_convert.vegalite_to_svg(
        chart.to_dict() | {"config": _CONFIG}, allowed_base_urls=[], format_locale=locale
    )
    body = svg[svg.index(">") + 1 : svg.rindex("</svg>")]
    for pattern, kept in ((_SELF_DESCRIPTION, "<g"), (_BACKGROUND, ""), (_FONT, "")):
        body = pattern.sub(kept, body)
    return Drawn(width, height, body)
