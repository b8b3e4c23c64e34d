"""Hosts for real, as far as the network is concerned: a namespace each, a cable each, one switch. Needs root."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_NETWORKS = "198.18"  # of the range that is kept for measuring (RFC 2544)
_OURS = 254
_NAME = re.compile(r"pp(\d+)(?:-\w+)?")
# What a service manager does, on each host.
_AGAIN = 'while true; do "$@"; sleep 1; done'


class HostsNotPossibleError(Exception):
    """This machine makes no network namespaces, or not for this user."""


class Host:
    """A host: programs started in it see its address alone, and are reached through its cable alone."""

    def __init__(self, namespace: str, cable: str, switch: str, address: str, folder: Path) -> None:
        self.address = address
        self.folder = folder
        self._namespace = namespace
        self._cable = cable
        self._switch = switch
        self._started = list["subprocess.Popen[bytes]"]()
        folder.mkdir(parents=True)

    def inside(self, *words: str) -> list[str]:
        """Return the command that runs a command in this host."""
        return ["ip", "netns", "exec", self._namespace, *words]

    def start(self, *words: str, environment: Mapping[str, str], log: str) -> None:
        """Run a program for as long as the host is up; one that ends is started again a second later."""
        with (self.folder / log).open("ab") as output:
            program = subprocess.Popen(
                self.inside("sh", "-c", _AGAIN, "sh", *words),
                cwd=self.folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(program)

    def unplug(self) -> None:
        """Pull the cable out: packets are lost without an error."""
        _ip("-n", self._switch, "link", "set", self._cable, "down")

    def plug(self) -> None:
        """Put the cable in again."""
        _ip("-n", self._switch, "link", "set", self._cable, "up")

    def cpu_seconds(self) -> float:
        """Return the processor time of all that runs or ran here, by what is left of it."""
        spent = 0.0
        for process in _processes(self._namespace):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                spent += times.user + times.system + times.children_user + times.children_system
        return spent

    def kill(self) -> None:
        """End all that runs here, at once."""
        _kill(self._namespace)
        while self._started:
            self._started.pop().wait()


class Network:
    """The switch, and whoever is on it; this process is, too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = f"pp{os.getpid()}"
        self._prefix = f"{_NETWORKS}.{os.getpid() % 256}"  # other runs may have hosts too
        self._hosts = list[Host]()

    @property
    def addresses(self) -> str:
        """All addresses of the network, as PostgreSQL writes them."""
        return f"{self._prefix}.0/24"

    def host(self, name: str) -> Host:
        """Add a host, and return it."""
        number = len(self._hosts) + 1
        namespace, cable = f"{self._name}-{name}", f"port{number}"
        _ip("netns", "add", namespace)
        self._connect(number, cable, namespace)
        _ip("-n", namespace, "link", "set", "lo", "up")
        host = Host(namespace, cable, self._name, f"{self._prefix}.{number}", self._folder / name)
        self._hosts.append(host)
        return host

    def set_up(self) -> None:
        """Make the switch, and put this process on it.

        Raises:
            HostsNotPossibleError: the machine refuses.
        """
        try:
            _remove_what_the_killed_left()
            _ip("netns", "add", self._name)
            _ip("-n", self._name, "link", "add", "switch", "type", "bridge")
            _ip("-n", self._name, "link", "set", "switch", "up")
            self._connect(_OURS, "ours", None)
        except (OSError, subprocess.CalledProcessError) as error:
            raise HostsNotPossibleError(
                f"Cannot create network namespaces ({getattr(error, 'stderr', '') or error}): this needs Linux, "
                "root, and `ip` (Debian: apt-get install iproute2)."
            ) from error

    def tear_down(self) -> None:
        """Remove all hosts, with all that runs in them."""
        for host in self._hosts:
            host.kill()
        for namespace in _namespaces():
            if namespace.partition("-")[0] == self._name:
                _remove(namespace)

    def _connect(self, number: int, cable: str, namespace: str | None) -> None:
        """Lay a cable from the switch to a namespace, or to this process's."""
        end = "eth0" if namespace else f"{self._name}-eth"
        there = ("-n", namespace) if namespace else ()
        peer = ("peer", "name", end, *(("netns", namespace) if namespace else ("netns", str(os.getpid()))))
        _ip("-n", self._name, "link", "add", cable, "type", "veth", *peer)
        _ip("-n", self._name, "link", "set", cable, "master", "switch", "up")
        _ip(*there, "addr", "add", f"{self._prefix}.{number}/24", "dev", end)
        _ip(*there, "link", "set", end, "up")


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """Have a network; at the end nothing of it is left.

    Raises:
        HostsNotPossibleError: this machine makes none.
    """
    made = Network(folder)
    made.set_up()
    try:
        yield made
    finally:
        made.tear_down()


def _namespaces() -> list[str]:
    """Return the namespaces that are hosts or switches of ours, or of another process's."""
    names = (line.split()[0] for line in _ip("netns", "list").splitlines() if line.strip())
    return [name for name in names if _NAME.fullmatch(name)]


def _remove_what_the_killed_left() -> None:
    for namespace in _namespaces():
        made_by = _NAME.fullmatch(namespace)
        if made_by and not psutil.pid_exists(int(made_by[1])):
            _remove(namespace)


def _remove(namespace: str) -> None:
    _kill(namespace)
    with suppress(subprocess.CalledProcessError):
        _ip("netns", "del", namespace)


def _kill(namespace: str) -> None:
    while left := _processes(namespace):
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=0.2)


def _processes(namespace: str) -> list[psutil.Process]:
    found = []
    for pid in _ip("netns", "pids", namespace).split():
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(int(pid)))
    return found


def _ip(*words: str) -> str:
    command: Sequence[str] = ["ip", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
