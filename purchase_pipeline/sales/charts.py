"""The charts, as SVG: Vega-Altair says what is drawn, vl-convert draws it.

Those two were chosen because Vega then needs no browser and no network, and the page needs no script: what a reader
gets is plain SVG, which scales, prints and can be searched. Data goes in as dictionaries, so that no pandas is loaded.
Texts and numbers arrive as they are to be written; a chart knows no language.
"""

from collections.abc import Sequence
from typing import NamedTuple

import altair as alt

from purchase_pipeline.sales.drawing import SMALL, TEXT, WIDTH, Drawn, data, draw
from purchase_pipeline.sales.palette import ACCENT, INK, MUTED, RULE

_BAR_STEP = 38
_DIGIT = 7.5
_WIDEST_FONT = 1.15  # against the one that Vega measures with: a reader's own may be that much wider
_COLUMNS_HEIGHT = 250


class Bar(NamedTuple):
    """One thing, how much of it there is, and how that is written."""

    name: str
    value: float
    written: str


def bars(shown: Sequence[Bar]) -> Drawn:
    """Draw bars from the left, each below its name and number; a name that is too long ends in dots."""
    rows = data(bar._asdict() | {"place": place} for place, bar in enumerate(shown))
    longest = max((bar.value for bar in shown), default=0) or 1
    room = (WIDTH - _DIGIT * max((len(bar.written) for bar in shown), default=0)) / _WIDEST_FONT
    base = alt.Chart(rows).encode(y=alt.Y("place:O", axis=None, scale=alt.Scale(padding=0)))
    size = alt.X("value:Q", axis=None, scale=alt.Scale(domain=[0, longest], nice=False))
    return draw(
        base.mark_bar(color=RULE, height=2, yOffset=9).encode(x=alt.value(0), x2=alt.value(WIDTH)),
        base.mark_bar(color=ACCENT, height=6, yOffset=9).encode(x=size),
        base.mark_text(align="left", dy=-5, limit=room, fontSize=TEXT, color=INK).encode(
            x=alt.value(0), text="name:N"
        ),
        base.mark_text(align="right", dy=-5, fontSize=TEXT, color=INK).encode(
            x=alt.value(WIDTH), text="written:N"
        ),
        height=_BAR_STEP * max(len(shown), 1),
    )


def columns(shown: Sequence[Bar]) -> Drawn:
    """Draw columns from the ground, in the order given, each with its number above and its name below."""
    rows = data(bar._asdict() | {"place": place} for place, bar in enumerate(shown))
    tallest = max((bar.value for bar in shown), default=0) or 1
    ground = _COLUMNS_HEIGHT - 24
    base = alt.Chart(rows).encode(
        x=alt.X("place:O", axis=None, scale=alt.Scale(paddingInner=0.28, paddingOuter=0.05)),
        y=alt.Y("value:Q", axis=None, scale=alt.Scale(domain=[0, tallest], range=[ground, 24], nice=False)),
    )
    return draw(
        base.mark_bar(color=ACCENT),
        base.mark_text(dy=-10, fontSize=SMALL, color=INK).encode(text="written:N"),
        base.mark_text(fontSize=SMALL, color=MUTED).encode(y=alt.value(ground + 14), text="name:N"),
        height=_COLUMNS_HEIGHT,
    )
