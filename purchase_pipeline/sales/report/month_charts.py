"""The two charts over months, as SVG."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from purchase_pipeline.sales.report.drawing import SMALL, WIDTH, Drawn, Layer, draw, pixels
from purchase_pipeline.sales.report.formats import Locale
from purchase_pipeline.sales.report.palette import ACCENT, INK, MIDDLE, MUTED, RULE, SOFT

_LEFT, _BELOW = 36, 26
_PANEL_HEIGHT = 140
_NAMED = {"type": "text", "fontSize": SMALL, "fontWeight": 600, "color": INK}
_VALUE_AXIS = {
    "title": None,
    "domain": False,
    "ticks": False,
    "tickCount": 4,
    "gridColor": RULE,
    "labelColor": MUTED,
    "labelFontSize": SMALL,
    "labelPadding": 8 - _LEFT,
    "format": ",~r",
}


class MonthBar(NamedTuple):
    """One month; `year` is the axis label, if any; `whole` is false for an incomplete month."""

    value: float
    year: str
    whole: bool


class PanelPoint(NamedTuple):
    """One month's deviation from the average (0 equals the average); `written` is its label, if any."""

    change: float
    year: str
    written: str = ""


def month_bars(shown: Sequence[MonthBar], best: int, written: str, *, width: int, locale: Locale) -> Drawn:
    """Draw a column for each month: the best one dark and labelled, incomplete ones pale, the average as a line."""
    height = 320 if width > WIDTH else 230
    whole = [month.value for month in shown if month.whole] or [month.value for month in shown]
    highest = max(month.value for month in shown) * 1.02 or 1
    y = _value({"domain": [0, highest], "nice": False, "range": [height - _BELOW, 24]}, _VALUE_AXIS)
    across = {"range": [_LEFT, width], "paddingInner": 0.25, "paddingOuter": 0}
    x = {"field": "place", "type": "ordinal", "axis": None, "scale": across}
    rows = list(_painted(shown, best))
    centre = _LEFT + (best + 0.5) * (width - _LEFT) / len(shown)
    named = pixels(min(max(centre, _LEFT + 58), width - 58))
    return draw(
        Layer(rows, {"type": "bar"}, {"x": x, "y": y, "color": {"field": "paint", "scale": None}}),
        _years(rows, x, height - 9),
        Layer(
            [{"value": sum(whole) / len(whole)}],
            {"type": "rule", "color": INK, "strokeDash": [2, 3]},
            {"x": pixels(_LEFT), "x2": pixels(width), "y": y},
        ),
        Layer(
            [{"value": shown[best].value}],
            _NAMED | {"dy": -9},
            {"x": named, "y": y, "text": {"value": written}},
        ),
        width=width,
        height=height,
        locale=locale,
    )


def _painted(shown: Sequence[MonthBar], best: int) -> Iterator[dict[str, object]]:
    for place, month in enumerate(shown):
        paint = ACCENT if place == best else MIDDLE if month.whole else SOFT
        yield month._asdict() | {"place": place, "paint": paint}


def panel(points: Sequence[PanelPoint], reach: float) -> Drawn:
    """Draw one line around its own average, on a symmetric scale that all panels share."""
    ground = _PANEL_HEIGHT - 22
    across = {"domain": [0, len(points) - 1], "range": [20, WIDTH - 20], "nice": False}
    x = {"field": "place", "type": "quantitative", "axis": None, "scale": across}
    y = _value({"domain": [-reach, reach], "range": [ground - 14, 18], "nice": False}, None, "change")
    rows = [point._asdict() | {"place": place} for place, point in enumerate(points)]
    marked = [row for row, point in zip(rows, points, strict=True) if point.written]
    text = {"x": x, "y": y, "text": {"field": "written"}}
    middle = pixels((ground + 4) / 2)
    return draw(
        Layer([{}], {"type": "rule", "color": RULE}, {"x": pixels(0), "x2": pixels(WIDTH), "y": middle}),
        Layer(
            rows,
            {"type": "line", "color": ACCENT, "strokeWidth": 1.6, "strokeJoin": "round"},
            {"x": x, "y": y},
        ),
        Layer(
            marked,
            {"type": "point", "filled": True, "size": 34, "opacity": 1, "color": ACCENT},
            {"x": x, "y": y},
        ),
        Layer([row for row in marked if row["change"] > 0], _NAMED | {"dy": -11}, text),
        Layer([row for row in marked if row["change"] <= 0], _NAMED | {"dy": 12}, text),
        _years(rows, x, _PANEL_HEIGHT - 7),
        height=_PANEL_HEIGHT,
    )


def _years(rows: Sequence[Mapping[str, Any]], x: Mapping[str, Any], y: float) -> Layer:
    """Label each year below its first month."""
    text = {"type": "text", "align": "left", "fontSize": SMALL, "color": MUTED}
    named = [row for row in rows if row["year"]]
    return Layer(named, text, {"x": x, "y": pixels(y), "text": {"field": "year"}})


def _value(
    scale: Mapping[str, Any], axis: Mapping[str, Any] | None, field: str = "value"
) -> Mapping[str, Any]:
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}
