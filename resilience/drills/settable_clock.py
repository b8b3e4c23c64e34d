"""A clock that a drill sets, for the processes that it starts: the machine's own is everybody's."""

import subprocess
from pathlib import Path
from struct import pack

from purchase_pipeline_tests.programs import program

_SOURCE = Path(__file__).with_suffix(".c")


class SettableClock:
    """What programs in its environment hold for the time; at first the right one."""

    def __init__(self, folder: Path) -> None:
        self._offset = folder / "clock"
        self.seconds_ahead = 0
        self.move(0)
        library = folder / "settable_clock.so"
        compiler = program("cc", "gcc", package="gcc")
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, _SOURCE], check=True)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(self._offset)}

    def move(self, seconds: int) -> None:
        """Set the clock so many seconds ahead of where it is, or back."""
        self.seconds_ahead += seconds
        with self._offset.open("r+b" if self._offset.exists() else "wb") as file:
            file.write(pack("@l", self.seconds_ahead))
