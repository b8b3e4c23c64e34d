"""Processes that this program starts, keeps running, and stops: those, and no others."""

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

from purchase_pipeline.errors import PipelineError

_SERVICE = "PURCHASE_SERVICE"  # in the environment of a service and of all that it starts
_LOOK_SECONDS = 0.02
_STOP_SECONDS = 10.0
_RESTARTS = 5
_RESTART_WINDOW_SECONDS = 60.0


class ServiceFailedError(PipelineError):
    """A process of ours ended, and does not stay up."""


@dataclass(frozen=True)
class Service:
    """A process to be kept running. `stop_seconds` is how long it may take to end before it is killed."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: float = _STOP_SECONDS


class Processes:
    """The services of one `up`, and their logs. Should this program be killed, `stop_leftovers` finds them."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._logs = home / "logs"
        self._running: dict[str, tuple[Service, subprocess.Popen[bytes]]] = {}
        self._restarts: list[float] = []

    def start(self, service: Service) -> None:
        """Start a service, away from the terminal: Ctrl-C is for us to hear, and to pass on in order."""
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
        """Return the file that a service's output goes to."""
        return self._logs / f"{name}.log"

    def check(self, name: str) -> None:
        """Raise if a service has ended.

        Raises:
            ServiceFailedError: it has; with the end of its log.
        """
        _, process = self._running[name]
        if (code := process.poll()) is not None:
            raise ServiceFailedError(self._epitaph(name, code))

    def revive(self) -> list[str]:
        """Start again what has ended by itself, and return its names.

        Raises:
            ServiceFailedError: too many ends in the last minute.
        """
        ended = [
            (service, process) for service, process in self._running.values() if process.poll() is not None
        ]
        now = monotonic()
        self._restarts = [at for at in self._restarts if now - at < _RESTART_WINDOW_SECONDS]
        for service, process in ended:
            if len(self._restarts) >= _RESTARTS:
                raise ServiceFailedError(self._epitaph(service.name, process.returncode))
            self._restarts.append(now)
            _stop_session(process.pid, service.stop_seconds)  # what it left behind would be nobody's
            self.start(service)
        return [service.name for service, _ in ended]

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Stop a service, and start it again after."""
        service, _ = self._running[name]
        self.stop(name)
        try:
            yield
        finally:
            self.start(service)

    def stop(self, name: str) -> None:
        """Stop a service and all below it."""
        if name in self._running:
            service, process = self._running.pop(name)
            _stop_session(process.pid, service.stop_seconds)
            process.wait()

    def stop_all(self) -> None:
        """Stop every service, the last started first."""
        for name in reversed(list(self._running)):
            self.stop(name)
        stop_leftovers(self._home)  # an interrupt may come between a process's start and our knowing of it

    def _epitaph(self, name: str, code: int | None) -> str:
        log = self.log_of(name)
        lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        return f"{name} ended with exit code {code}. The end of its log, {log}:\n" + "\n".join(lines)


def stop_leftovers(home: Path) -> list[str]:
    """Stop what a killed predecessor left running, the last started first; return the names as they were started.

    The processes are known by their environment. A record on disk would know nothing of one that was started just
    before the kill, and might name a number that went to a stranger since.
    """
    names = list(_services(home))
    for name in reversed(names):
        for wanted in (slice(1), slice(None)):  # the leader, then what it leaves behind
            end(_services(home).get(name, [])[wanted], _STOP_SECONDS)
    return names


def _services(home: Path) -> dict[str, list[psutil.Process]]:
    """Return the processes of a home's services by the service's name, all in the order of their start."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            if environment.get("PURCHASE_HOME") == str(home) and _SERVICE in environment and _runs(process):
                found.append((process.create_time(), environment[_SERVICE], process))
    services: dict[str, list[psutil.Process]] = {}
    for _, name, process in sorted(found, key=itemgetter(0)):
        services.setdefault(name, []).append(process)
    return services


def _session(leader: int) -> list[psutil.Process]:
    """Return a session's processes, the leader first, orphans included."""
    members = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == leader and _runs(process):
                members.append(process)
    return sorted(members, key=lambda member: member.pid != leader)


def _stop_session(leader: int, stop_seconds: float) -> None:
    """Ask the leader to end, then what it leaves behind; kill what does not."""
    end(_session(leader)[:1], stop_seconds)
    end(_session(leader), stop_seconds)  # looked at anew: the leader may have started more while it ended


def end(processes: list[psutil.Process], stop_seconds: float) -> None:
    """Ask processes to end, wait, and kill those that have not; return when all are gone."""
    for wish in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(wish)
        deadline = monotonic() + stop_seconds
        while (processes := [one for one in processes if _runs(one)]) and monotonic() < deadline:
            sleep(_LOOK_SECONDS)


def _runs(process: psutil.Process) -> bool:
    """Tell whether a process has not ended. A zombie has: it waits for a parent that may never ask."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
