"""What a benchmark gives: figures, a value a round, and the ratios between them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One thing measured.

    Attributes:
        name: what was measured, as a person reads it.
        unit: `s`, `MiB`, `rows/s`, ...
        values: one a round, in the rounds' order.
        at_most, at_least: what is promised of the median; None: nothing is.
    """

    name: str
    unit: str
    values: Sequence[float]
    at_most: float | None = None
    at_least: float | None = None

    @property
    def median(self) -> float:
        """The middle value: what noise moves least."""
        return median(self.values)

    @property
    def kept(self) -> bool:
        """True when the promise holds, or there is none."""
        return _is_kept(self.median, self.at_most, self.at_least)


@dataclass(frozen=True)
class Ratio:
    """One figure held against another of the same rounds: the quotient is taken round by round.

    Attributes:
        name: what the ratio says, as a person reads it.
        of, to: dividend and divisor.
        at_most, at_least: what is promised of the median; None: nothing is.
    """

    name: str
    of: Figure
    to: Figure
    at_most: float | None = None
    at_least: float | None = None

    @property
    def values(self) -> list[float]:
        """One quotient a round."""
        return [of / to for of, to in zip(self.of.values, self.to.values, strict=True)]

    @property
    def median(self) -> float:
        """The middle quotient."""
        return median(self.values)

    @property
    def promises(self) -> bool:
        """True when something is promised of it."""
        return self.at_most is not None or self.at_least is not None

    @property
    def kept(self) -> bool:
        """True when the promise holds, or there is none."""
        return _is_kept(self.median, self.at_most, self.at_least)


@dataclass(frozen=True)
class Measured:
    """All that one benchmark measured.

    Attributes:
        notes: what a reader must know to read the figures rightly, a sentence each.
    """

    benchmark: str
    figures: Sequence[Figure]
    ratios: Sequence[Ratio] = ()
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def kept(self) -> bool:
        """True when every promise holds."""
        return all(one.kept for one in self.figures) and all(one.kept for one in self.ratios)


def _is_kept(value: float, at_most: float | None, at_least: float | None) -> bool:
    return (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
