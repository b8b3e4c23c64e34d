"""How a chart becomes SVG that may stand in the page: Vega-Lite laid out by vl-convert, cleaned of what it repeats.

vl-convert was chosen because Vega then needs no browser and no network, and the page needs no script: what a reader
gets is plain SVG, which scales, prints and can be searched. Charts are written in Vega-Lite's own words: Altair, which
writes them from Python, costs more time than all that is drawn here.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import vl_convert

from purchase_pipeline.ingest.printable import printable
from purchase_pipeline.sales.report.formats import Locale

WIDTH = 340
"""Of a chart in a column of the page, and of a phone's screen: so that its letters have one size on both."""

TEXT, SMALL = 13, 12
"""Sizes of the letters."""

Channels = Mapping[str, Mapping[str, Any]]
"""What each channel of a mark (x, y, color, text, ...) shows."""

_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"stroke": None},
    "aria": False,
}
_SELF_DESCRIPTION = re.compile(r'<g class="[^"]*"(?: role="[^"]*")?(?: aria-[a-z]+="[^"]*")*')
_BACKGROUND = re.compile(r'<path class="(?:back|fore)ground"[^>]*/>')
_FONT = re.compile(r' font-family="sans-serif"')
_LONGEST_TEXT = 100  # characters, more than a drawing has room for
_BEYOND_16_BITS = re.compile("[\U00010000-\U0010ffff]")
_PRIVATE_USE = range(0xE000, 0xF900)  # `printable` leaves none of these in a text
_AS_WIDE = chr(_PRIVATE_USE[-1])  # after each stand-in: an emoji is wider than one, in most fonts


class Drawn(NamedTuple):
    """What stands within an `<svg>` element, and that element's size. Texts in it are escaped."""

    width: int
    height: int
    body: str


class Layer(NamedTuple):
    """One kind of mark over some rows, as Vega-Lite takes it."""

    rows: Iterable[Mapping[str, Any]]
    mark: Mapping[str, Any]
    channels: Channels

    def specification(self) -> dict[str, Any]:
        """Return the layer in Vega-Lite's form."""
        return {"data": {"values": list(self.rows)}, "mark": self.mark, "encoding": self.channels}


class _StandIns:
    """What travels through Vega in the place of characters that it would cut in two, as emoji, and then fail at.

    vl-convert ends the whole process at a character that XML forbids: none gets that far.
    """

    def __init__(self) -> None:
        self._of: dict[str, str] = {}

    def put_into(self, part: Any) -> Any:  # noqa: ANN401  # JSON
        """Return a part of a specification with texts that Vega can draw."""
        if isinstance(part, str):
            return _BEYOND_16_BITS.sub(self._stand_in, printable(part[:_LONGEST_TEXT]))
        if isinstance(part, Mapping):
            return {name: self.put_into(value) for name, value in part.items()}
        return [self.put_into(value) for value in part] if isinstance(part, list | tuple) else part

    def _stand_in(self, found: re.Match[str]) -> str:
        return self._of.setdefault(found[0], chr(_PRIVATE_USE[len(self._of)])) + _AS_WIDE

    def taken_out(self, svg: str) -> str:
        """Return a drawing with the characters themselves."""
        characters = {ord(stand_in): character for character, stand_in in self._of.items()}
        return svg.translate(characters | {ord(_AS_WIDE): ""})


def pixels(value: float) -> dict[str, Any]:
    """Return a channel that is one place for every row."""
    return {"value": value}


def draw(*layers: Layer, height: int, width: int = WIDTH, locale: Locale = "en-US") -> Drawn:
    """Draw layers over each other. Nothing is fetched; its own description of itself is left to the page's."""
    stand_ins = _StandIns()
    specification = {
        "config": _CONFIG,
        "width": width,
        "height": height,
        "padding": 0,
        "autosize": "none",
        "layer": [stand_ins.put_into(layer.specification()) for layer in layers],
    }
    svg = vl_convert.vegalite_to_svg(specification, allowed_base_urls=[], format_locale=locale)
    body = stand_ins.taken_out(svg[svg.index(">") + 1 : svg.rindex("</svg>")])
    for pattern, kept in ((_SELF_DESCRIPTION, "<g"), (_BACKGROUND, ""), (_FONT, "")):
        body = pattern.sub(kept, body)
    return Drawn(width, height, body)
