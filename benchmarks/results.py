"""The recorded results of the benchmarks, one JSON file each."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pydantic import BaseModel

from benchmarks.figures import Figure, Measured, Ratio
from benchmarks.machine import Machine

_DIGITS = 5


class _KeptFigure(BaseModel, frozen=True):
    name: str
    unit: str
    values: list[float]
    at_most: float | None = None
    at_least: float | None = None


class _KeptRatio(BaseModel, frozen=True):
    """A ratio, by the names of its figures."""

    name: str
    of: str
    to: str
    at_most: float | None = None
    at_least: float | None = None


class Result(BaseModel, frozen=True):
    """The recorded result of one benchmark."""

    benchmark: str
    rounds: int
    measured_on: date
    machine: Machine
    figures: list[_KeptFigure]
    ratios: list[_KeptRatio]
    notes: list[str]

    @property
    def measured(self) -> Measured:
        """The results as the benchmark returned them, with values rounded to five digits."""
        figures = {one.name: Figure(**dict(one)) for one in self.figures}
        ratios = [Ratio(**{**dict(one), "of": figures[one.of], "to": figures[one.to]}) for one in self.ratios]
        return Measured(self.benchmark, list(figures.values()), ratios, self.notes)


def result_of(measured: Measured, rounds: int, today: date, machine: Machine) -> Result:
    """Return the result to record for a benchmark run today on this machine.

    Raises:
        ValueError: two figures have the same name, or a ratio is of an unknown figure.
    """
    names = [figure.name for figure in measured.figures]
    strays = {side.name for ratio in measured.ratios for side in (ratio.of, ratio.to)} - set(names)
    if strays or len(set(names)) != len(names):
        raise ValueError(
            f"{measured.benchmark}: figures {names}; ratios of unknown figures: {sorted(strays)}."
        )
    return Result(
        benchmark=measured.benchmark,
        rounds=rounds,
        measured_on=today,
        machine=machine,
        figures=[
            _KeptFigure(**{**vars(figure), "values": [_rounded(value) for value in figure.values]})
            for figure in measured.figures
        ],
        ratios=[
            _KeptRatio(**{**vars(ratio), "of": ratio.of.name, "to": ratio.to.name})
            for ratio in measured.ratios
        ],
        notes=list(measured.notes),
    )


def keep(result: Result, folder: Path) -> None:
    """Record a result, replacing the last one of the benchmark."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{result.benchmark}.json").write_text(
        result.model_dump_json(indent=1, exclude_none=True) + "\n"
    )


def kept(folder: Path, names: Sequence[str]) -> list[Result]:
    """Return the recorded results of these benchmarks, in this order."""
    paths = (folder / f"{name}.json" for name in names)
    return [Result.model_validate_json(path.read_bytes()) for path in paths if path.exists()]


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
