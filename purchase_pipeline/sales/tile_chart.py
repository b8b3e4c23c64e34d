"""A map of tiles, all of one size, as SVG: where one is says what it is, its colour how much."""

from collections.abc import Sequence
from typing import NamedTuple

import altair as alt

from purchase_pipeline.sales.drawing import SMALL, TEXT, WIDTH, Drawn, data, draw
from purchase_pipeline.sales.palette import MUTED, ON_STEPS, STEPS

_TILE_WIDTH, _TILE_HEIGHT, _TILE_GAP, _TILE_COLUMNS = 52, 46, 5, 6
_LEGEND_HEIGHT = 44


class TileValue(NamedTuple):
    """One tile of a grid, its place on the colour scale from 0 to 1, and what is written on it."""

    code: str
    row: int
    column: int
    share: float
    written: str


def tiles(shown: Sequence[TileValue], least: str, most: str) -> Drawn:
    """Draw a grid of tiles, the darker the more, and below it the scale with its ends."""
    rows = max((tile.row for tile in shown), default=0) + 1
    height = rows * (_TILE_HEIGHT + _TILE_GAP) + _LEGEND_HEIGHT
    placed = alt.Chart(data(map(_placed, shown)))
    ink = alt.Color("ink:N", scale=None)
    middle = placed.encode(x=_pixels("middle"), y=_pixels("centre"), color=ink)
    return draw(
        _boxes(placed),
        middle.mark_text(dy=-7, fontSize=TEXT, fontWeight=700).encode(text="code:N"),
        middle.mark_text(dy=9, fontSize=SMALL).encode(text="written:N"),
        *_legend(height - 22, least, most),
        height=height,
    )


def _placed(tile: TileValue) -> dict[str, object]:
    left = (WIDTH - _TILE_COLUMNS * (_TILE_WIDTH + _TILE_GAP) + _TILE_GAP) / 2
    box = _boxed(
        left + tile.column * (_TILE_WIDTH + _TILE_GAP),
        tile.row * (_TILE_HEIGHT + _TILE_GAP),
        _TILE_WIDTH,
        _TILE_HEIGHT,
        min(int(tile.share * len(STEPS)), len(STEPS) - 1),
    )
    return box | {"code": tile.code, "written": tile.written}


def _legend(top: float, least: str, most: str) -> list[alt.Chart]:
    width = 28
    steps = alt.Chart(
        data(
            _boxed(WIDTH / 2 + (step - len(STEPS) / 2) * width, top, width, 10, step)
            for step in range(len(STEPS))
        )
    )
    half = len(STEPS) / 2 * width + 8
    end = alt.Chart(data([{}])).encode(y=alt.value(top + 6))
    return [
        _boxes(steps),
        end.mark_text(align="right", fontSize=SMALL, color=MUTED).encode(
            x=alt.value(WIDTH / 2 - half), text=alt.value(least)
        ),
        end.mark_text(align="left", fontSize=SMALL, color=MUTED).encode(
            x=alt.value(WIDTH / 2 + half), text=alt.value(most)
        ),
    ]


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
    boxes: alt.Chart = chart.mark_rect(cornerRadius=2).encode(
        x=_pixels("left"),
        x2="right",
        y=_pixels("top"),
        y2="bottom",
        color=alt.Color("paint:N", scale=None),
    )
    return boxes


def _pixels(field: str) -> dict[str, object]:
    return {"field": field, "type": "quantitative", "scale": None, "axis": None}
