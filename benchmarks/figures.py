"""The results of a benchmark: figures, with one value per round, and ratios between them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One measured quantity.

    Attributes:
        name: what was measured, for readers.
        unit: `s`, `MiB`, `rows/s`, ...
        values: one per round, in order.
        at_most, at_least: targets for the median, if any.
    """

    name: str
    unit: str
    values: Sequence[float]
    at_most: float | None = None
    at_least: float | None = None

    @property
    def median(self) -> float:
        """The median, which is robust against noise."""
        return median(self.values)

    @property
    def met(self) -> bool:
        """Whether the target is met, or there is none."""
        return _is_met(self.median, self.at_most, self.at_least)


@dataclass(frozen=True)
class Ratio:
    """The ratio of two figures, computed round by round.

    Attributes:
        name: what is compared, for readers.
        of, to: dividend and divisor.
        at_most, at_least: targets for the median, if any.
    """

    name: str
    of: Figure
    to: Figure
    at_most: float | None = None
    at_least: float | None = None

    @property
    def values(self) -> list[float]:
        """One ratio per round."""
        return [of / to for of, to in zip(self.of.values, self.to.values, strict=True)]

    @property
    def median(self) -> float:
        """The median ratio."""
        return median(self.values)

    @property
    def has_target(self) -> bool:
        """Whether the ratio has a target."""
        return self.at_most is not None or self.at_least is not None

    @property
    def met(self) -> bool:
        """Whether the target is met, or there is none."""
        return _is_met(self.median, self.at_most, self.at_least)


@dataclass(frozen=True)
class Measured:
    """All results of one benchmark.

    Attributes:
        notes: how to read the figures, one sentence each.
    """

    benchmark: str
    figures: Sequence[Figure]
    ratios: Sequence[Ratio] = ()
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def met(self) -> bool:
        """Whether all targets are met."""
        return all(one.met for one in self.figures) and all(one.met for one in self.ratios)


def _is_met(value: float, at_most: float | None, at_least: float | None) -> bool:
    return (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
