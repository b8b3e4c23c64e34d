"""The recorded results as Markdown tables: figures, then ratios, with their targets."""

from collections.abc import Iterator, Sequence

from benchmarks.catalogue import BENCHMARKS
from benchmarks.figures import Figure, Measured, Ratio
from benchmarks.results import Result
from purchase_pipeline_tests.marked_section import with_section

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def report(results: Sequence[Result]) -> str:
    """Return all results, one section each, and the machines they were measured on."""
    machines = list(dict.fromkeys(result.machine.described() for result in results))
    sections = [_section(result, machines) for result in results]
    numbered = [
        f"{_mark(number, machines)}Measured on: {machine}" for number, machine in enumerate(machines, start=1)
    ]
    return "\n\n".join([*sections, *numbered])


def measured_lines(measured: Measured) -> Iterator[str]:
    """Yield the lines of a benchmark's two tables."""
    yield row("", "median", "min to max", "target", "met")
    yield row("---", "---:", "---:", "---:", "---")
    for figure in measured.figures:
        yield _line(figure, figure.unit)
    if measured.ratios:
        yield ""
        yield row("ratio, round by round", "median", "min to max", "target", "met")
        yield row("---", "---:", "---:", "---:", "---")
        for ratio in measured.ratios:
            yield _line(ratio, "")


def written_into(document: str, text: str) -> str:
    """Return a document with this text between its two markers.

    Raises:
        ValueError: the document does not have the markers.
    """
    return with_section(document, BEGIN, END, text)


def shown(value: float, unit: str = "") -> str:
    """Format a value with three or four digits and its unit; seconds below one as ms or µs."""
    if unit == "s" and 0 < value < 1:
        value, unit = (value * 1e3, "ms") if value >= 1e-3 else (value * 1e6, "µs")  # noqa: PLR2004
    digits = 0 if value >= 100 or not value else 1 if value >= 10 else 2  # noqa: PLR2004
    return f"{value:,.{digits}f} {unit}".rstrip()


def _section(result: Result, machines: Sequence[str]) -> str:
    mark = _mark(machines.index(result.machine.described()) + 1, machines)
    lines = [
        f"### `{result.benchmark}`: {BENCHMARKS[result.benchmark]}",
        "",
        f"{mark}{result.measured_on}, {result.rounds} rounds. {' '.join(result.notes)}".strip(),
        "",
        *measured_lines(result.measured),
    ]
    return "\n".join(lines)


def _mark(number: int, machines: Sequence[str]) -> str:
    """Return the number of a machine, if there are several."""
    return f"({number}) " if len(machines) > 1 else ""


def _line(one: Figure | Ratio, unit: str) -> str:
    least, most = min(one.values), max(one.values)
    spread = f"{shown(least, unit)} to {shown(most, unit)}" if len(one.values) > 1 else ""
    target = _target(one, unit)
    met = ("yes" if one.met else "**no**") if target else ""
    return row(one.name, shown(one.median, unit), spread, target, met)


def _target(one: Figure | Ratio, unit: str) -> str:
    bounds = (("at most", one.at_most), ("at least", one.at_least))
    return ", ".join(f"{word} {value:,g} {unit}".rstrip() for word, value in bounds if value is not None)


def row(*cells: str) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cells)} |"
