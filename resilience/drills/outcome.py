"""What a drill is, and what came of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What came of one drill.

    `times` counts the faults that are confirmed to have struck, `healed` those after which the lot was whole
    at the end, unaided. `seconds` holds one value a time: from the fault to the whole lot.
    """

    times: int
    lost: int
    doubled: int
    healed: int
    seconds: Sequence[float]
    note: str = ""


@dataclass(frozen=True)
class Drill:
    """One kind of fault: its kebab-case name, its sentence for the table, and how to strike it.

    `full` and `short` are the times in the full version and in the one that runs with the tests (0: not there).
    `run` takes the times and an empty folder to work in.
    """

    name: str
    fault: str
    full: int
    short: int
    run: Callable[[int, Path], Outcome]
