"""The processes of one embedded PostgreSQL: which they are, whatever its files say, and how they are ended."""

import signal
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import psutil

_PATIENCE_SECONDS = {signal.SIGINT: 60.0, signal.SIGQUIT: 10.0, signal.SIGKILL: 5.0}
_LOOK_SECONDS = 0.02


class ServerProcesses:
    """The processes of the server of a name (PostgreSQL's `cluster_name`) and a data folder."""

    def __init__(self, name: str, data: Path) -> None:
        self._name = name
        self._data = data

    def find(self) -> list[psutil.Process]:
        """Return what runs: the postmaster and its children, or what a killed one left behind."""
        found = []
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):
                if process.info["name"] == "postgres" and self._is_ours(process):
                    found.append(process)
        return found

    def has_postmaster(self) -> bool:
        """Tell whether postmaster.pid names a process of this server, rather than a stranger's or none."""
        with suppress(OSError, ValueError, IndexError):
            named = int(self._pid_file_lines()[0])
            return any(process.pid == named for process in self.find())
        return False

    def says_ready(self) -> bool:
        """Tell whether the postmaster has written that it takes connections."""
        with suppress(OSError, IndexError):
            return self._pid_file_lines()[-1].strip() == "ready"
        return False

    def end(self, *wishes: signal.Signals) -> bool:
        """Signal ever more firmly until all are gone, and return whether there were any.

        SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one, which the next start recovers from.

        Raises:
            TimeoutError: some are not gone.
        """
        there_were = bool(self.find())
        for wish in wishes:
            if not (processes := self.find()):
                break
            _send(wish, processes)
            deadline = monotonic() + _PATIENCE_SECONDS[wish]
            while self.find() and monotonic() < deadline:
                sleep(_LOOK_SECONDS)
        if left := [process.pid for process in self.find()]:
            raise TimeoutError(f"processes {left} do not end")
        return there_were

    def _is_ours(self, process: psutil.Process) -> bool:
        # The folder tells where the home was moved under the server; root may not look at it in a container.
        return self._name in " ".join(process.cmdline()) or process.cwd() == str(self._data)

    def _pid_file_lines(self) -> list[str]:
        return (self._data / "postmaster.pid").read_text().splitlines()


def _send(wish: signal.Signals, processes: list[psutil.Process]) -> None:
    """Signal the postmaster, which tells its children, and orphans; only a kill goes to all."""
    pids = {process.pid for process in processes}
    for process in processes:
        with suppress(psutil.Error):
            if wish == signal.SIGKILL or process.ppid() not in pids:
                process.send_signal(wish)
