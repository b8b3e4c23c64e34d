"""Charts as inline SVG: Vega-Lite specifications rendered by vl-convert, without redundant attributes.

vl-convert runs Vega without browser or network, and the page needs no script: plain SVG scales, prints and can be
searched. Specifications are plain dictionaries: importing Altair would take longer than drawing all charts.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import vl_convert

from purchase_pipeline.ingest.printable import printable
from purchase_pipeline.sales.report.formats import Locale

WIDTH = 340
"""Width of a chart in a column and on a phone, so that text has the same size on both."""

TEXT, SMALL = 13, 12
"""Font sizes."""

Channels = Mapping[str, Mapping[str, Any]]
"""The encoding channels of a mark: x, y, color, text, ..."""

_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"stroke": None},
    "aria": False,
}
_SELF_DESCRIPTION = re.compile(r'<g class="[^"]*"(?: role="[^"]*")?(?: aria-[a-z]+="[^"]*")*')
_BACKGROUND = re.compile(r'<path class="(?:back|fore)ground"[^>]*/>')
_FONT = re.compile(r' font-family="sans-serif"')
_LONGEST_TEXT = 100  # characters; a drawing has room for fewer
_BEYOND_16_BITS = re.compile("[\U00010000-\U0010ffff]")
_PRIVATE_USE = range(0xE000, 0xF900)  # `printable` leaves none of these in a text
_FILLER = chr(_PRIVATE_USE[-1])  # after each placeholder: an emoji is wider than one character in most fonts


class Drawn(NamedTuple):
    """The content and size of an `<svg>` element. Its texts are escaped."""

    width: int
    height: int
    body: str


class Layer(NamedTuple):
    """A Vega-Lite layer: one kind of mark over some rows."""

    rows: Iterable[Mapping[str, Any]]
    mark: Mapping[str, Any]
    channels: Channels

    def specification(self) -> dict[str, Any]:
        """Return the layer's Vega-Lite specification."""
        return {"data": {"values": list(self.rows)}, "mark": self.mark, "encoding": self.channels}


class _Placeholders:
    """Private-use placeholders for characters beyond 16 bits, such as emoji, which Vega would split and fail on.

    vl-convert aborts the process on a character that XML forbids, so those are escaped first.
    """

    def __init__(self) -> None:
        self._of: dict[str, str] = {}

    def insert(self, part: Any) -> Any:  # noqa: ANN401  # JSON
        """Return a part of a specification with placeholders in its texts."""
        if isinstance(part, str):
            return _BEYOND_16_BITS.sub(self._placeholder, printable(part[:_LONGEST_TEXT]))
        if isinstance(part, Mapping):
            return {name: self.insert(value) for name, value in part.items()}
        return [self.insert(value) for value in part] if isinstance(part, list | tuple) else part

    def _placeholder(self, found: re.Match[str]) -> str:
        return self._of.setdefault(found[0], chr(_PRIVATE_USE[len(self._of)])) + _FILLER

    def restore(self, svg: str) -> str:
        """Return a drawing with the original characters."""
        characters = {ord(placeholder): character for character, placeholder in self._of.items()}
        return svg.translate(characters | {ord(_FILLER): ""})


def pixels(value: float) -> dict[str, Any]:
    """Return a channel with the same pixel value for every row."""
    return {"value": value}


def draw(*layers: Layer, height: int, width: int = WIDTH, locale: Locale = "en-US") -> Drawn:
    """Draw layers over each other. Nothing is fetched; the page provides the accessible description."""
    placeholders = _Placeholders()
    specification = {
        "config": _CONFIG,
        "width": width,
        "height": height,
        "padding": 0,
        "autosize": "none",
        "layer": [placeholders.insert(layer.specification()) for layer in layers],
    }
    svg = vl_convert.vegalite_to_svg(specification, allowed_base_urls=[], format_locale=locale)
    body = placeholders.restore(svg[svg.index(">") + 1 : svg.rindex("</svg>")])
    for pattern, kept in ((_SELF_DESCRIPTION, "<g"), (_BACKGROUND, ""), (_FONT, "")):
        body = pattern.sub(kept, body)
    return Drawn(width, height, body)
