"""The compared methods of loading one batch from the API into PostgreSQL, and the rounds in which they take turns."""

import gc
from collections import defaultdict
from collections.abc import Sequence
from time import perf_counter
from typing import Protocol

from benchmarks.figures import Figure


class Contender(Protocol):
    """One method of loading a batch. Only `load` is timed."""

    name: str

    def prepare(self, lote: str) -> None:
        """Prepare what a long-running program would have ready."""

    def load(self, lote: str, rows: int) -> None:
        """Load the batch from the API and commit it."""

    def stored(self) -> int:
        """Return the number of stored rows."""

    def clean(self) -> None:
        """Remove the stored rows."""


class RowsMissingError(Exception):
    """A contender stored the wrong number of rows, so its time is meaningless."""


def take_turns(contenders: Sequence[Contender], rounds: int, rows: int) -> dict[str, Figure]:
    """Let each contender load the same batch in every round, in rotating order; return the seconds by name.

    An uncounted round comes first, to warm up connections, caches and imports.

    Raises:
        RowsMissingError: a contender did not store `rows` rows.
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
    gc.collect()  # do not charge one contender for the garbage of another
    started = perf_counter()
    contender.load(lote, rows)
    taken = perf_counter() - started
    if (stored := contender.stored()) != rows:
        raise RowsMissingError(f"{contender.name} stored {stored} of {rows} rows of {lote}.")
    contender.clean()
    return taken
