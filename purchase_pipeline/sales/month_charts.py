"""The two charts that go through the months, as SVG."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import altair as alt

from purchase_pipeline.sales.drawing import SMALL, WIDTH, Drawn, data, draw
from purchase_pipeline.sales.formats import Locale
from purchase_pipeline.sales.palette import ACCENT, INK, MIDDLE, MUTED, RULE, SOFT

_LEFT, _BELOW = 36, 26
_PANEL_HEIGHT = 140


class MonthBar(NamedTuple):
    """One month; `year` stands below it, where one begins; `whole` says that none of its days is missing."""

    value: float
    year: str
    whole: bool


class PanelPoint(NamedTuple):
    """One month against the average, 0 being like it; `written` where that is to be read."""

    change: float
    year: str
    written: str = ""


def month_bars(shown: Sequence[MonthBar], best: int, written: str, *, width: int, locale: Locale) -> Drawn:
    """Draw a column a month over a scale: the best one dark and named, incomplete ones pale, the average a line."""
    height = 320 if width > WIDTH else 230
    whole = [month.value for month in shown if month.whole] or [month.value for month in shown]
    scale = alt.Scale(
        domain=[0, max(month.value for month in shown) * 1.02 or 1], nice=False, range=[height - _BELOW, 24]
    )
    x = alt.X("place:O", axis=None, scale=alt.Scale(range=[_LEFT, width], paddingInner=0.25, paddingOuter=0))
    y = alt.Y("value:Q", scale=scale, axis=_value_axis())
    base = alt.Chart(data(_painted(shown, best))).encode(x=x)
    average = alt.Chart(data([{"value": sum(whole) / len(whole)}])).encode(y=y)
    centre = _LEFT + (best + 0.5) * (width - _LEFT) / len(shown)
    named = alt.Chart(data([{"value": shown[best].value}])).encode(y=y)
    return draw(
        base.mark_bar().encode(y=y, color=alt.Color("paint:N", scale=None)),
        _years(base, height - 9),
        average.mark_rule(color=INK, strokeDash=[2, 3]).encode(x=alt.value(_LEFT), x2=alt.value(width)),
        named.mark_text(dy=-9, fontSize=SMALL, fontWeight=600, color=INK).encode(
            x=alt.value(min(max(centre, _LEFT + 58), width - 58)), text=alt.value(written)
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
    """Draw one line against its own average, on a scale that reaches as far up as down; all panels share it."""
    ground = _PANEL_HEIGHT - 22
    across = alt.Scale(domain=[0, len(points) - 1], range=[20, WIDTH - 20], nice=False)
    up = alt.Scale(domain=[-reach, reach], range=[ground - 14, 18], nice=False)
    rows = data(point._asdict() | {"place": place} for place, point in enumerate(points))
    base = alt.Chart(rows).encode(x=alt.X("place:Q", axis=None, scale=across))
    y = alt.Y("change:Q", axis=None, scale=up)
    marked = base.transform_filter("datum.written != ''").encode(y=y)
    above, below = marked.transform_filter("datum.change > 0"), marked.transform_filter("datum.change <= 0")
    text: dict[str, Any] = {"fontSize": SMALL, "fontWeight": 600, "color": INK}
    return draw(
        base.mark_rule(color=RULE).encode(x=alt.value(0), x2=alt.value(WIDTH), y=alt.value((ground + 4) / 2)),
        base.mark_line(color=ACCENT, strokeWidth=1.6, strokeJoin="round").encode(y=y),
        marked.mark_point(filled=True, size=34, opacity=1, color=ACCENT),
        above.mark_text(dy=-11, **text).encode(text="written:N"),
        below.mark_text(dy=12, **text).encode(text="written:N"),
        _years(base, _PANEL_HEIGHT - 7),
        height=_PANEL_HEIGHT,
    )


def _years(base: alt.Chart, y: float) -> alt.Chart:
    named = base.transform_filter("datum.year != ''")
    years: alt.Chart = named.mark_text(align="left", fontSize=SMALL, color=MUTED).encode(
        y=alt.value(y), text="year:N"
    )
    return years


def _value_axis() -> alt.Axis:
    return alt.Axis(
        title=None,
        domain=False,
        ticks=False,
        tickCount=4,
        gridColor=RULE,
        labelColor=MUTED,
        labelFontSize=SMALL,
        labelPadding=8 - _LEFT,
        format=",~r",
    )
