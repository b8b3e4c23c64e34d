"""Supervision of the service processes that this program starts."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from time import monotonic, sleep

import psutil

from purchase_pipeline import PipelineError

_SERVICE = "PURCHASE_SERVICE"  # in the environment of a service and its children
_POLL_SECONDS = 0.02
_STOP_SECONDS = 10.0
_RESTARTS = 5
_RESTART_WINDOW_SECONDS = 60.0


class ServiceFailedError(PipelineError):
    """A service ended, or keeps ending."""


@dataclass(frozen=True)
class Service:
    """A process to keep running. It is killed if it does not end within `stop_seconds` of SIGTERM."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: float = _STOP_SECONDS


class Processes:
    """The services of an `up`, and their logs. After a kill, `stop_leftovers` stops them."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._logs = home / "logs"
        self._running: dict[str, tuple[Service, subprocess.Popen[bytes]]] = {}
        self._restarts: list[float] = []

    def start(self, service: Service) -> None:
        """Start a service in its own session, so that Ctrl-C reaches only this process, which stops them in order."""
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log_of(service.name).open("ab") as log:
            process = subprocess.Popen(
                service.command,
                env={
                    **os.environ,
                    **service.environment,
                    "PURCHASE_HOME": str(self._home),
                    _SERVICE: service.name,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running[service.name] = (service, process)

    def log_of(self, name: str) -> Path:
        """Return a service's log file."""
        return self._logs / f"{name}.log"

    def check(self, name: str) -> None:
        """Raise if a service has ended.

        Raises:
            ServiceFailedError: it has ended.
        """
        _, process = self._running[name]
        if (code := process.poll()) is not None:
            raise ServiceFailedError(self._exit_message(name, code))

    def revive(self) -> list[str]:
        """Restart services that have ended, and return their names.

        Raises:
            ServiceFailedError: too many restarts within a minute.
        """
        ended = [
            (service, process) for service, process in self._running.values() if process.poll() is not None
        ]
        now = monotonic()
        self._restarts = [at for at in self._restarts if now - at < _RESTART_WINDOW_SECONDS]
        for service, process in ended:
            if len(self._restarts) >= _RESTARTS:
                raise ServiceFailedError(self._exit_message(service.name, process.returncode))
            self._restarts.append(now)
            _stop_session(process.pid, service.stop_seconds)  # children that it left behind
            self.start(service)
        return [service.name for service, _ in ended]

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Stop a service within the block."""
        service, _ = self._running[name]
        self.stop(name)
        try:
            yield
        finally:
            self.start(service)

    def stop(self, name: str) -> None:
        """Stop a service and its children."""
        if name in self._running:
            service, process = self._running.pop(name)
            _stop_session(process.pid, service.stop_seconds)
            process.wait()

    def stop_all(self) -> None:
        """Stop all services in reverse order of their start."""
        for name in reversed(list(self._running)):
            self.stop(name)
        stop_leftovers(self._home)  # an interrupt may come between a start and its registration

    def _exit_message(self, name: str, code: int | None) -> str:
        log = self.log_of(name)
        lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        return f"{name} ended with exit code {code}. Last lines of {log}:\n" + "\n".join(lines)


def stop_leftovers(home: Path) -> list[str]:
    """Stop services left over from a killed run, in reverse order of their start; return their names.

    They are identified by their environment. A PID file would miss one that was started just before the kill, and its
    PID might be reused by another process.
    """
    names = list(_services(home))
    for name in reversed(names):
        for part in (slice(1), slice(None)):  # the leader, then its children
            end(_services(home).get(name, [])[part], _STOP_SECONDS)
    return names


def _services(home: Path) -> dict[str, list[psutil.Process]]:
    """Return the service processes of a home by service name, in the order of their start."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            if (
                environment.get("PURCHASE_HOME") == str(home)
                and _SERVICE in environment
                and _is_alive(process)
            ):
                found.append((process.create_time(), environment[_SERVICE], process))
    services: dict[str, list[psutil.Process]] = {}
    for _, name, process in sorted(found, key=itemgetter(0)):
        services.setdefault(name, []).append(process)
    return services


def _session(leader: int) -> list[psutil.Process]:
    """Return the processes of a session, leader first, including orphans."""
    members = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == leader and _is_alive(process):
                members.append(process)
    return sorted(members, key=lambda member: member.pid != leader)


def _stop_session(leader: int, stop_seconds: float) -> None:
    """Terminate the leader of a session, then its remaining processes."""
    end(_session(leader)[:1], stop_seconds)
    end(_session(leader), stop_seconds)  # read again: the leader may have started more


def end(processes: list[psutil.Process], stop_seconds: float) -> None:
    """Send SIGTERM to processes, then SIGKILL to those still alive after `stop_seconds`."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal_number)
        deadline = monotonic() + stop_seconds
        while (
            processes := [process for process in processes if _is_alive(process)]
        ) and monotonic() < deadline:
            sleep(_POLL_SECONDS)


def _is_alive(process: psutil.Process) -> bool:
    """Return whether a process is running; a zombie is not."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
