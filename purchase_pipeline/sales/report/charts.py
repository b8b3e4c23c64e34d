"""Bar and column charts, as SVG.

Texts and numbers arrive formatted; a chart is independent of the language.
"""

from collections.abc import Sequence
from typing import NamedTuple

from purchase_pipeline.sales.report.drawing import SMALL, TEXT, WIDTH, Drawn, Layer, draw, pixels
from purchase_pipeline.sales.report.palette import ACCENT, INK, MUTED, RULE

_BAR_STEP = 38
_DIGIT = 7.5
_WIDEST_FONT = 1.15  # relative to the font that Vega measures with; the reader's may be this much wider
_COLUMNS_HEIGHT = 250


class Bar(NamedTuple):
    """One bar: its name, its value and the formatted value."""

    name: str
    value: float
    written: str


def bars(shown: Sequence[Bar]) -> Drawn:
    """Draw horizontal bars, each below its name and number; long names are truncated."""
    rows = [bar._asdict() | {"place": place} for place, bar in enumerate(shown)]
    longest = max((bar.value for bar in shown), default=0) or 1
    room = (WIDTH - _DIGIT * max((len(bar.written) for bar in shown), default=0)) / _WIDEST_FONT
    place = {"field": "place", "type": "ordinal", "axis": None, "scale": {"padding": 0}}
    scale = {"domain": [0, longest], "nice": False}
    size = {"field": "value", "type": "quantitative", "axis": None, "scale": scale}
    text = {"type": "text", "dy": -5, "fontSize": TEXT, "color": INK}
    line = {"type": "bar", "yOffset": 9}
    left, right = pixels(0), pixels(WIDTH)
    return draw(
        Layer(rows, line | {"color": RULE, "height": 2}, {"x": left, "x2": right, "y": place}),
        Layer(rows, line | {"color": ACCENT, "height": 6}, {"x": size, "y": place}),
        Layer(
            rows, text | {"align": "left", "limit": room}, {"x": left, "y": place, "text": {"field": "name"}}
        ),
        Layer(rows, text | {"align": "right"}, {"x": right, "y": place, "text": {"field": "written"}}),
        height=_BAR_STEP * max(len(shown), 1),
    )


def columns(shown: Sequence[Bar]) -> Drawn:
    """Draw columns in the given order, each with its number above and its name below."""
    rows = [bar._asdict() | {"place": place} for place, bar in enumerate(shown)]
    tallest = max((bar.value for bar in shown), default=0) or 1
    ground = _COLUMNS_HEIGHT - 24
    across = {"paddingInner": 0.28, "paddingOuter": 0.05}
    up = {"domain": [0, tallest], "range": [ground, 24], "nice": False}
    x = {"field": "place", "type": "ordinal", "axis": None, "scale": across}
    y = {"field": "value", "type": "quantitative", "axis": None, "scale": up}
    text = {"type": "text", "fontSize": SMALL}
    return draw(
        Layer(rows, {"type": "bar", "color": ACCENT}, {"x": x, "y": y}),
        Layer(rows, text | {"dy": -10, "color": INK}, {"x": x, "y": y, "text": {"field": "written"}}),
        Layer(rows, text | {"color": MUTED}, {"x": x, "y": pixels(ground + 14), "text": {"field": "name"}}),
        height=_COLUMNS_HEIGHT,
    )
