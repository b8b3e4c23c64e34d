"""Which differences the report may state: those beyond what chance gives.

Purchases are taken as independent draws. A sum of them then varies with the sum of their squares, an average with the
variance of the prices, a count with itself. A difference is stated beyond four standard errors: the report looks for
the best of up to a few hundred values, and among so many equal ones the extremes are seldom further apart.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Literal, NamedTuple

STANDARD_ERRORS = 4

Claim = Literal["leads", "tied", "even", "only"]


class Estimate(NamedTuple):
    """A value and its variance."""

    value: float
    variance: float

    def differs(self, other: "Estimate") -> bool:
        """Return whether chance is an unlikely reason for the difference."""
        return abs(self.value - other.value) > STANDARD_ERRORS * sqrt(self.variance + other.variance)


class Prices(NamedTuple):
    """Purchases, the sum of their prices, and the sum of the squared prices."""

    purchases: int
    revenue: float
    squares: float

    def revenue_of(self, revenue: float, days: int = 1) -> Estimate:
        """Estimate a revenue, by day if the number of days is given."""
        return Estimate(revenue / days, revenue * self.squares / (self.revenue or 1) / days**2)

    def ticket_of(self, purchases: int, revenue: float) -> Estimate:
        """Estimate the average price of some purchases."""
        mean = self.revenue / (self.purchases or 1)
        variance = max(self.squares / (self.purchases or 1) - mean**2, 0.0)
        return Estimate(revenue / (purchases or 1), variance / (purchases or 1))


def count_of(count: int, days: int = 1) -> Estimate:
    """Estimate a number of purchases or customers."""
    return Estimate(count / days, count / days**2)


def claim(ordered: Sequence[Estimate]) -> Claim:
    """Return what may be said of the first of some estimates, the highest first."""
    first, last = ordered[0], ordered[-1]
    if len(ordered) == 1:
        return "only"
    if not first.differs(last):
        return "even"
    return "leads" if first.differs(ordered[1]) else "tied"
