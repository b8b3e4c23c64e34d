"""Hosts for real, as far as the network is concerned: a namespace each, a cable each, one switch. Needs root."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_NETWORK = "198.18.77"  # of the range that is kept for measuring (RFC 2544)
_OURS = 254
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
        folder.mkdir(parents=True)

    def inside(self, *words: str) -> list[str]:
        """Return the command that runs a command in this host."""
        return ["ip", "netns", "exec", self._namespace, *words]

    def start(self, *words: str, environment: Mapping[str, str], log: str) -> None:
        """Run a program for as long as the host is up; one that ends is started again a second later."""
        with (self.folder / log).open("ab") as output:
            subprocess.Popen(
                self.inside("sh", "-c", _AGAIN, "sh", *words),
                cwd=self.folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def unplug(self) -> None:
        """Pull the cable out: nothing arrives any more, and nobody is told."""
        _ip("-n", self._switch, "link", "set", self._cable, "down")

    def plug(self) -> None:
        """Put the cable in again."""
        _ip("-n", self._switch, "link", "set", self._cable, "up")

    def processes(self, *saying: str) -> list[psutil.Process]:
        """Return the host's processes, or those whose command has these words."""
        found = []
        for pid in _ip("netns", "pids", self._namespace).split():
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(pid))
                if all(word in " ".join(process.cmdline()) for word in saying):
                    found.append(process)
        return found

    def cpu_seconds(self) -> float:
        """Return the processor time of all that runs or ran here, by what is left of it."""
        spent = 0.0
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                spent += times.user + times.system + times.children_user + times.children_system
        return spent

    def kill(self) -> None:
        """End all that runs here, at once."""
        while left := self.processes():
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(left, timeout=0.2)


class Network:
    """The switch, and whoever is on it; this process is, too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = f"pp{os.getpid()}"
        self._hosts = list[Host]()

    def host(self, name: str) -> Host:
        """Add a host, and return it."""
        number = len(self._hosts) + 1
        namespace, cable = f"{self._name}-{name}", f"port{number}"
        _ip("netns", "add", namespace)
        self._connect(number, cable, namespace)
        _ip("-n", namespace, "link", "set", "lo", "up")
        host = Host(namespace, cable, self._name, f"{_NETWORK}.{number}", self._folder / name)
        self._hosts.append(host)
        return host

    def set_up(self) -> None:
        """Make the switch, and put this process on it.

        Raises:
            HostsNotPossibleError: the machine refuses.
        """
        try:
            _ip("netns", "add", self._name)
            _ip("-n", self._name, "link", "add", "switch", "type", "bridge")
            _ip("-n", self._name, "link", "set", "switch", "up")
            self._connect(_OURS, "ours", None)
        except (OSError, subprocess.CalledProcessError) as error:
            raise HostsNotPossibleError(
                f"Network namespaces are not to be had ({getattr(error, 'stderr', '') or error}): this needs Linux, "
                "root, and `ip` (Debian: apt-get install iproute2)."
            ) from error

    def tear_down(self) -> None:
        """Remove all hosts, with all that runs in them."""
        for host in self._hosts:
            host.kill()
        for namespace in (*(host._namespace for host in self._hosts), self._name):  # noqa: SLF001  # of this module
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", namespace)

    def _connect(self, number: int, cable: str, namespace: str | None) -> None:
        """Lay a cable from the switch to a namespace, or to this process's."""
        end = "eth0" if namespace else f"{self._name}-eth"
        there = ("-n", namespace) if namespace else ()
        peer = ("peer", "name", end, *(("netns", namespace) if namespace else ("netns", str(os.getpid()))))
        _ip("-n", self._name, "link", "add", cable, "type", "veth", *peer)
        _ip("-n", self._name, "link", "set", cable, "master", "switch", "up")
        _ip(*there, "addr", "add", f"{_NETWORK}.{number}/24", "dev", end)
        _ip(*there, "link", "set", end, "up")


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """Have a network; at the end nothing of it is left.

    Raises:
        HostsNotPossibleError: this machine makes none.
    """
    made = Network(folder)
    try:
        made.set_up()
        yield made
    finally:
        made.tear_down()


def _ip(*words: str) -> str:
    command: Sequence[str] = ["ip", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
