"""What is compared: ways to take one lot from the API into PostgreSQL, and the rounds in which they take turns."""

import gc
from collections import defaultdict
from collections.abc import Sequence
from time import perf_counter
from typing import Protocol

from benchmarks.figures import Figure


class Contender(Protocol):
    """One way to load a lot. Only `load` is timed."""

    name: str

    def prepare(self, lote: str) -> None:
        """Make ready what a program that loads lot after lot would have ready."""

    def load(self, lote: str, rows: int) -> None:
        """Take the lot from the API, and return when it is committed."""

    def stored(self) -> int:
        """Count the rows that are there now."""

    def clean(self) -> None:
        """Take them away again."""


class RowsMissingError(Exception):
    """A contender stored another number of rows than it was asked for: its time means nothing."""


def take_turns(contenders: Sequence[Contender], rounds: int, rows: int) -> dict[str, Figure]:
    """Let each load the same lot in every round, another one first each time; return the seconds by name.

    A round before the first is not counted: connections, caches and imports are warm after it.

    Raises:
        RowsMissingError: one did not store `rows` rows.
    """
    seconds = defaultdict[str, list[float]](list)
    for number in range(rounds + 1):
        first = number % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            taken = _timed(contender, f"lote-{number + 1:04d}", rows)
            if number:
                seconds[contender.name].append(taken)
    return {contender.name: Figure(contender.name, "s", seconds[contender.name]) for contender in contenders}


def _timed(contender: Contender, lote: str, rows: int) -> float:
    contender.prepare(lote)
    gc.collect()  # nobody pays for what another left
    started = perf_counter()
    contender.load(lote, rows)
    taken = perf_counter() - started
    if (stored := contender.stored()) != rows:
        raise RowsMissingError(f"{contender.name} stored {stored} of {rows} rows of {lote}.")
    contender.clean()
    return taken
