"""Processes of the embedded PostgreSQL: finding and stopping them."""

import signal
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import psutil

_GRACE_SECONDS = {signal.SIGINT: 60.0, signal.SIGQUIT: 10.0, signal.SIGKILL: 5.0}
_POLL_SECONDS = 0.02


class ServerProcesses:
    """Processes of a server, identified by its `cluster_name` or data folder."""

    def __init__(self, name: str, data: Path) -> None:
        self._name = name
        self._data = data

    def find(self) -> list[psutil.Process]:
        """Return the running processes: the postmaster and its children, or orphans of a killed one."""
        found = []
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):
                if process.info["name"] == "postgres" and self._is_ours(process):
                    found.append(process)
        return found

    def has_postmaster(self) -> bool:
        """Return whether postmaster.pid names a running process of this server."""
        with suppress(OSError, ValueError, IndexError):
            named = int(self._pid_file_lines()[0])
            return any(process.pid == named for process in self.find())
        return False

    def says_ready(self) -> bool:
        """Return whether postmaster.pid says that the server accepts connections."""
        with suppress(OSError, IndexError):
            return self._pid_file_lines()[-1].strip() == "ready"
        return False

    def tcp_port(self) -> int | None:
        """Return the port in postmaster.pid if the server listens on a TCP address."""
        with suppress(OSError, ValueError, IndexError):
            lines = self._pid_file_lines()
            return int(lines[3]) if lines[5].strip() else None
        return None

    def end(self, *signals: signal.Signals) -> bool:
        """Send the signals in turn until all processes have ended; return whether there were any.

        SIGINT is PostgreSQL's fast shutdown; SIGQUIT the immediate one, after which the next start runs recovery.

        Raises:
            TimeoutError: some did not end.
        """
        had_processes = bool(self.find())
        for each in signals:
            if not (processes := self.find()):
                break
            _send(each, processes)
            deadline = monotonic() + _GRACE_SECONDS[each]
            while self.find() and monotonic() < deadline:
                sleep(_POLL_SECONDS)
        if left := [process.pid for process in self.find()]:
            raise TimeoutError(f"processes {left} did not end")
        return had_processes

    def _is_ours(self, process: psutil.Process) -> bool:
        # The folder identifies a server whose home was moved; root may lack permission to read it in a container.
        return self._name in " ".join(process.cmdline()) or process.cwd() == str(self._data)

    def _pid_file_lines(self) -> list[str]:
        return (self._data / "postmaster.pid").read_text().splitlines()


def _send(number: signal.Signals, processes: list[psutil.Process]) -> None:
    """Signal the postmaster, which signals its children, and orphans; SIGKILL goes to all."""
    pids = {process.pid for process in processes}
    for process in processes:
        with suppress(psutil.Error):
            if number == signal.SIGKILL or process.ppid() not in pids:
                process.send_signal(number)
