"""The table that a reader looks for first: one line per way to load the same realistic orders, fastest first."""

from collections.abc import Iterator

from benchmarks.figures import Figure, Measured, Ratio
from benchmarks.report import row, shown
from benchmarks.results import Result

_OURS = "this project"
_BEGINS, _ENDS = "realistic: ", ", CPU"
_NOT_VALIDATED = " (no validation)"


def comparison(results: list[Result]) -> str:
    """Return the table of the benchmark `orders`.

    Raises:
        ValueError: it is not among the results.
    """
    (orders,) = (result.measured for result in results if result.benchmark == "orders")
    return "\n".join(_lines(orders))


def _lines(orders: Measured) -> Iterator[str]:
    figures = {figure.name: figure for figure in orders.figures}
    contenders = [
        name.removeprefix(_BEGINS).removesuffix(_ENDS)
        for name in figures
        if name.startswith(_BEGINS) and name.endswith(_ENDS)
    ]
    yield row("", "validates", "CPU", "ours = 1", "CPU, 1 % invalid", "elapsed", "peak memory")
    yield row("---", "---", *["---:"] * 5)
    for name in sorted(contenders, key=lambda name: figures[f"{_BEGINS}{name}{_ENDS}"].median):
        yield _line(name, figures)


def _line(name: str, figures: dict[str, Figure]) -> str:
    cpu, ours = (figures[f"{_BEGINS}{one}{_ENDS}"] for one in (name, _OURS))
    found = [
        figures.get(one)
        for one in (f"1 % invalid: {name}, CPU", f"{_BEGINS}{name}, elapsed", f"{name}, peak memory")
    ]
    cells = [
        "no" if name.endswith(_NOT_VALIDATED) else "yes",
        shown(cpu.median, cpu.unit),
        shown(Ratio(name, cpu, ours).median),
        *(shown(one.median, one.unit) if one else "" for one in found),
    ]
    unbroken = (cell.replace(" ", "\N{NO-BREAK SPACE}") for cell in cells)
    line = (name.removesuffix(_NOT_VALIDATED), *unbroken)
    return row(*(f"**{cell}**" if cell and name == _OURS else cell for cell in line))
