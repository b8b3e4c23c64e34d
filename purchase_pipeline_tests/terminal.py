"""A terminal for a program, which can be closed like a window."""

import os
import select
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Thread

from purchase_pipeline_tests.programs import program

_LOOK_SECONDS = 0.1


class Terminal:
    """Runs one program in its own session, with this as its terminal, and collects its output."""

    def __init__(
        self, words: Sequence[str | Path], environment: Mapping[str, str], folder: Path | None = None
    ) -> None:
        self._ours, theirs = os.openpty()
        self._closed = Event()
        self._printed = bytearray()
        # Both exec the program, so the PID stays the same. env resets SIGHUP, which a parent under nohup ignores.
        before = [program("setsid", package="util-linux"), "--ctty", program("env", package="coreutils")]
        self.process = subprocess.Popen(
            [*before, "--default-signal=HUP", *words],
            cwd=folder,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def printed(self) -> str:
        """The output of the program so far."""
        return self._printed.decode(errors="replace")

    def close(self) -> None:
        """Close the terminal: the kernel sends SIGHUP, and later writes fail."""
        self._closed.set()
        self._reader.join()
        os.close(self._ours)

    def _read(self) -> None:
        while not self._closed.is_set():
            if select.select([self._ours], [], [], _LOOK_SECONDS)[0]:
                try:
                    self._printed += os.read(self._ours, 4096)
                except OSError:  # the program has ended
                    return
