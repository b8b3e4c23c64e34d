"""The data path as a bar chart: one bar per method, the fastest at the top."""

from collections.abc import Sequence
from math import floor, log10
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from benchmarks.figures import Figure, Measured
from benchmarks.report import shown

_PAPER, _INK, _FAINT = (
    "#fbfbf9",
    "#24292f",
    "#d5d8dc",
)  # own background: readable on light and dark pages
_OURS, _FLOOR, _PEER = "#0b7a53", "#8a9099", "#7fa6cf"
_STYLE = {
    "svg.fonttype": "none",  # keep text as text, so that it can be searched and tested
    "svg.hashsalt": "data_path",  # otherwise each drawing has other identifiers
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],  # used to compute text widths
    "font.size": 10.5,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_TITLE = "One batch of 10,000 rows, from HTTP request to commit"
_LEGEND = "bar and label: median; thin line: min to max of {rounds} rounds; logarithmic scale"


def draw(measured: Measured, path: Path) -> None:
    """Write the chart as SVG, reproducibly."""
    figures = sorted(measured.figures, key=lambda figure: figure.median, reverse=True)
    with mpl.rc_context(_STYLE):
        canvas = Canvas(figsize=(11, 0.42 * len(figures) + 1.6), facecolor=_PAPER, layout="constrained")
        canvas.get_layout_engine().set(w_pad=0.2, h_pad=0.16)
        canvas.suptitle(_TITLE, x=0.02, ha="left", fontsize=14, fontweight="bold")
        axes = canvas.add_subplot()
        _draw_bars(axes, figures)
        _draw_frame(axes, figures)
        canvas.supxlabel(_LEGEND.format(rounds=len(figures[0].values)), x=0.02, ha="left", fontsize=9.5)
        canvas.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _draw_bars(axes: Axes, figures: Sequence[Figure]) -> None:
    for place, figure in enumerate(figures):
        most = max(figure.values)
        axes.barh(place, figure.median, height=0.64, color=_colour(figure), zorder=2)
        axes.plot([min(figure.values), most], [place, place], color=_INK, linewidth=1.1, zorder=3)
        label = {"textcoords": "offset points", "va": "center", "fontweight": _weight(figure)}
        axes.annotate(shown(figure.median, "s"), (most, place), (6, 0), **label)


def _draw_frame(axes: Axes, figures: Sequence[Figure]) -> None:
    axes.set_facecolor(_PAPER)
    axes.set_xscale("log")
    least, most = min(min(figure.values) for figure in figures), max(max(figure.values) for figure in figures)
    axes.set_xlim(10 ** floor(log10(least)), most * 1.7)
    ticks = [digit * 10**power for power in range(-3, 3) for digit in (1, 2, 5)]
    left, right = axes.get_xlim()
    inside = [tick for tick in ticks if left <= tick <= right]
    axes.set_xticks(inside, [f"{tick:g} s" if tick >= 1 else f"{tick * 1e3:g} ms" for tick in inside])
    axes.set_xticks([], minor=True)
    axes.set_yticks(range(len(figures)), [figure.name for figure in figures])
    for label, figure in zip(axes.get_yticklabels(), figures, strict=True):
        label.set_fontweight(_weight(figure))
    axes.tick_params(length=0)
    axes.grid(axis="x", color=_FAINT, linewidth=0.8, zorder=0)
    axes.spines[:].set_visible(False)
    axes.margins(y=0.01)


def _weight(figure: Figure) -> str:
    return "bold" if _is_ours(figure) else "normal"


def _colour(figure: Figure) -> str:
    if _is_ours(figure):
        return _OURS
    return _FLOOR if figure.name.startswith("the floor") else _PEER


def _is_ours(figure: Figure) -> bool:
    return figure.name.startswith("this project")
