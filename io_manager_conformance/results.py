"""What came of a run of the suite, and its file: one for each IO manager and type of frames."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Self


class Outcome(StrEnum):
    """What a behaviour came to."""

    PASSES = "passes"
    FAILS = "fails"
    UNSUPPORTED = "unsupported"


class Finding(NamedTuple):
    """The outcome of one behaviour, and the reason unless it passed: in a file, `fails: reason`."""

    outcome: Outcome
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.outcome}: {self.reason}" if self.reason else self.outcome

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `str` wrote."""
        outcome, _, reason = text.partition(": ")
        return cls(Outcome(outcome), reason)


@dataclass(frozen=True)
class Results:
    """The outcomes of one IO manager with one type of frames.

    Attributes:
        versions: of Python, Dagster and the IO manager's own packages.
    """

    title: str
    frames: str
    versions: Mapping[str, str]
    behaviours: Mapping[str, Finding]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file."""
        read = json.loads(path.read_text())
        findings = {name: Finding.read(text) for name, text in read.pop("behaviours").items()}
        return cls(**read, behaviours=findings)

    def write(self, folder: Path) -> Path:
        """Write the file of these results into a folder, and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"\W+", "-", f"{self.title} {self.frames}").strip("-").lower()
        path = folder / f"{name}.json"
        found = {name: str(finding) for name, finding in self.behaviours.items()}
        text = json.dumps({**asdict(self), "behaviours": found}, indent=2, ensure_ascii=False)
        path.write_text(text + "\n")
        return path
