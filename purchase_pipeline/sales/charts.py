"""The charts, as SVG: Vega-Altair says what is drawn, vl-convert draws it.

Those two were chosen because Vega then needs no browser and no network, and the page needs no script: what a reader
gets is plain SVG, which scales, prints and can be searched. Data goes in as dictionaries, so that no pandas is loaded.
Texts and numbers arrive as they are to be written; a chart knows no language.
"""

from collections.abc import Sequence
from typing import NamedTuple

import altair as alt

from purchase_pipeline.sales.drawing import SMALL, TEXT, WIDTH, Drawn, data, draw
from purchase_pipeline.sales.palette import ACCENT, INK, MUTED, ON_STEPS, RULE, STEPS

_BAR_STEP = 38
_COLUMNS_HEIGHT = 190
_TILE_WIDTH, _TILE_HEIGHT, _TILE_GAP, _TILE_COLUMNS = 52, 46, 5, 6
_LEGEND_HEIGHT = 44


class Bar(NamedTuple):
    """One thing, how much of it there is, and how that is written."""

    name: str
    value: float
    written: str


class TileValue(NamedTuple):
    """One tile of a grid, its place on the colour scale from 0 to 1, and what is written on it."""

    code: str
    row: int
    column: int
    share: float
    written: str


def bars(shown: Sequence[Bar]) -> Drawn:
    """Draw bars from the left, each below its name and number; a name that is too long ends in dots."""
    rows = data(bar._asdict() | {"place": place} for place, bar in enumerate(shown))
    longest = max((bar.value for bar in shown), default=0) or 1
    base = alt.Chart(rows).encode(y=alt.Y("place:O", axis=None, scale=alt.Scale(padding=0)))
    size = alt.X("value:Q", axis=None, scale=alt.Scale(domain=[0, longest], nice=False))
    return draw(
        base.mark_bar(color=RULE, height=2, yOffset=9).encode(x=alt.value(0), x2=alt.value(WIDTH)),
        base.mark_bar(color=ACCENT, height=6, yOffset=9).encode(x=size),
        base.mark_text(align="left", dy=-5, limit=222, fontSize=TEXT, color=INK).encode(
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


def tiles(shown: Sequence[TileValue], least: str, most: str) -> Drawn:
    """Draw a grid of tiles, the darker the more, and below it the scale with its ends."""
    rows = max((tile.row for tile in shown), default=0) + 1
    height = rows * (_TILE_HEIGHT + _TILE_GAP) + _LEGEND_HEIGHT
    left = (WIDTH - _TILE_COLUMNS * (_TILE_WIDTH + _TILE_GAP) + _TILE_GAP) / 2
    placed = alt.Chart(
        data(
            _boxed(
                left + tile.column * (_TILE_WIDTH + _TILE_GAP),
                tile.row * (_TILE_HEIGHT + _TILE_GAP),
                _TILE_WIDTH,
                _TILE_HEIGHT,
                min(int(tile.share * len(STEPS)), len(STEPS) - 1),
            )
            | {"code": tile.code, "written": tile.written}
            for tile in shown
        )
    )
    ink = alt.Color("ink:N", scale=None)
    middle = placed.encode(x=_pixels("middle"), y=_pixels("centre"), color=ink)
    return draw(
        _boxes(placed),
        middle.mark_text(dy=-7, fontSize=TEXT, fontWeight=700).encode(text="code:N"),
        middle.mark_text(dy=9, fontSize=SMALL).encode(text="written:N"),
        *_legend(left, height - 22, least, most),
        height=height,
    )


def _legend(left: float, top: float, least: str, most: str) -> list[alt.Chart]:
    width = 28
    steps = alt.Chart(
        data(
            _boxed(WIDTH / 2 + (step - len(STEPS) / 2) * width, top, width, 10, step)
            for step in range(len(STEPS))
        )
    )
    half = len(STEPS) / 2 * width + 8
    ends = [("right", WIDTH / 2 - half, least), ("left", WIDTH / 2 + half, most)]
    texts = [
        alt.Chart(data([{}]))
        .mark_text(align=side, fontSize=SMALL, color=MUTED)
        .encode(x=alt.value(max(place, left)), y=alt.value(top + 6), text=alt.value(written))
        for side, place, written in ends
    ]
    return [_boxes(steps), *texts]


def _boxed(left: float, top: float, width: float, height: float, step: int) -> dict[str, object]:
    return {
        "left": left,
        "right": left + width,
        "top": top,
        "bottom": top + height,
        "middle": left + width / 2,
        "centre": top + height / 2,
        "paint": STEPS[step],
        "ink": ON_STEPS[step],
    }


def _boxes(chart: alt.Chart) -> alt.Chart:
    return chart.mark_rect(cornerRadius=2).encode(
        x=_pixels("left"),
        x2="right",
        y=_pixels("top"),
        y2="bottom",
        color=alt.Color("paint:N", scale=None),
    )


def _pixels(field: str) -> alt.X:
    return alt.X(f"{field}:Q", scale=None, axis=None)
