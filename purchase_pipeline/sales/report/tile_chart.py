"""A tile grid map as SVG: position identifies the tile, colour shows its value."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from purchase_pipeline.sales.report.drawing import SMALL, TEXT, WIDTH, Drawn, Layer, draw, pixels
from purchase_pipeline.sales.report.palette import MUTED, ON_STEPS, STEPS

_TILE_WIDTH, _TILE_HEIGHT, _TILE_GAP, _TILE_COLUMNS = 52, 46, 5, 6
_LEGEND_HEIGHT = 44


class TileValue(NamedTuple):
    """One tile: its position in the grid, its value on the colour scale (0 to 1), its label."""

    code: str
    row: int
    column: int
    share: float
    written: str


def tiles(shown: Sequence[TileValue], least: str, most: str) -> Drawn:
    """Draw a grid of tiles, darker for higher values, with the colour scale below."""
    rows = max((tile.row for tile in shown), default=0) + 1
    height = rows * (_TILE_HEIGHT + _TILE_GAP) + _LEGEND_HEIGHT
    placed = list(map(_placed, shown))
    ink: dict[str, Any] = {"field": "ink", "scale": None}
    middle = {"x": _place("middle"), "y": _place("centre"), "color": ink}
    return draw(
        _boxes(placed),
        Layer(
            placed,
            {"type": "text", "dy": -7, "fontSize": TEXT, "fontWeight": 700},
            middle | {"text": {"field": "code"}},
        ),
        Layer(placed, {"type": "text", "dy": 9, "fontSize": SMALL}, middle | {"text": {"field": "written"}}),
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


def _legend(top: float, least: str, most: str) -> list[Layer]:
    width, steps = 28, range(len(STEPS))
    left = (WIDTH - len(STEPS) * width) / 2
    text = {"type": "text", "fontSize": SMALL, "color": MUTED}
    ends = ((least, left - 8, "right"), (most, WIDTH - left + 8, "left"))
    return [
        _boxes([_boxed(left + step * width, top, width, 10, step) for step in steps]),
        *(
            Layer(
                [{}],
                text | {"align": align},
                {"x": pixels(x), "y": pixels(top + 6), "text": {"value": label}},
            )
            for label, x, align in ends
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


def _boxes(boxes: Sequence[Mapping[str, object]]) -> Layer:
    sides = {"x": _place("left"), "x2": {"field": "right"}, "y": _place("top"), "y2": {"field": "bottom"}}
    paint: dict[str, Any] = {"field": "paint", "scale": None}
    return Layer(boxes, {"type": "rect", "cornerRadius": 2}, sides | {"color": paint})


def _place(field: str) -> dict[str, Any]:
    """Return a channel whose values are pixels."""
    return {"field": field, "type": "quantitative", "scale": None, "axis": None}
