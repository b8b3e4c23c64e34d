"""What a contender of the benchmark `orders` reports."""

from typing import NamedTuple


class Loaded(NamedTuple):
    """The numbers of rows of a loaded batch; `rejected` is None if the contender does not count them."""

    stored: int
    rejected: int | None = 0
