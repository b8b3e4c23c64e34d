"""Forks commands for their stand-ins: `python -m purchase_pipeline_tests.command_server SOCKET`.

They are console scripts, and the modules of `_MODULES`: the services of an `up`.
"""

import marshal
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from time import time, tzset
from typing import NoReturn

from purchase_pipeline.stack import preloaded, start
from purchase_pipeline_tests.forked_commands import services_stand_in, write_stand_in

_SERVICES = "purchase_pipeline.stack.services"
_MODULES = (start.__name__, "uvicorn")
_IMPORTED = (
    *preloaded.BY_EVERY_RUN,
    "dagster._daemon.cli",
    "mock_api.app",
    "purchase_pipeline.cli.backup",
    "purchase_pipeline.cli.inspect",
    "purchase_pipeline.cli.load",
    "purchase_pipeline.cli.local",
    "purchase_pipeline.cli.quarantine",
    "purchase_pipeline.cli.sales",
    "purchase_pipeline.cli.sql",
    "purchase_pipeline.definitions",
    "purchase_pipeline.ops.status",
    "purchase_pipeline.stack.code_server",
    "purchase_pipeline.stack.webserver",
    "uvicorn.protocols.http.h11_impl",
)
_PATH = "PYTHONPATH"
_INTERPRETER = ("LANG", "LC_", "PYTHON")
"""Variables that Python reads as it starts, by the beginning of their names."""


def _serve(address: Path) -> list[str]:
    """Fork twice for each stand-in that connects; return, in the second process, its program and the arguments."""
    began = time()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the first ones
        while True:
            readable, _, _ = select.select([listener.fileno(), 0], [], [])
            if 0 in readable:  # closed, as whoever started this has ended
                rmtree(address.parent)
                os._exit(0)
            connection, _ = listener.accept()
            if not os.fork():
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    size, _, request = message.partition(b"\n")
    while len(request) < int(size):
        request += connection.recv(1 << 16)
    program, words, environment, folder, umask = marshal.loads(request)  # noqa: S302  (from the stand-in)
    if pid := os.fork():
        _watch(pid, connection)
    connection.close()
    os.setsid()
    os.chdir(folder)
    os.umask(umask)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    forks = program != sys.executable or words[:2] in [["-m", module] for module in _MODULES]
    if not forks or not _python_starts_alike(environment) or _has_changed_since(began):
        os.execve(program, [program, *words], environment)  # noqa: S606  (what it stands for)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[1:1] = [path for path in _paths(environment) if path not in sys.path]
    tzset()
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    return [program, *words]


def _watch(pid: int, connection: socket.socket) -> NoReturn:
    """Send a process's id, then its exit code; kill it if the stand-in is killed."""
    os.closerange(0, connection.fileno())
    try:
        with suppress(OSError):  # a stand-in that has ended already is seen below
            connection.sendall(b"%d\n" % pid)
        readable, _, _ = select.select([connection.fileno(), os.pidfd_open(pid)], [], [])
        if connection.fileno() in readable:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    finally:
        os._exit(0)


def _python_starts_alike(environment: Mapping[str, str]) -> bool:
    given, own = (
        {name: value for name, value in each.items() if name.startswith(_INTERPRETER) and name != _PATH}
        for each in (environment, os.environ)
    )
    return given == own and not any(Path(path, "sitecustomize.py").exists() for path in _paths(environment))


def _paths(environment: Mapping[str, str]) -> list[str]:
    return [path for path in environment.get(_PATH, "").split(os.pathsep) if path]


def _has_changed_since(began: float) -> bool:
    """Return whether a file of the package has been written since then."""
    package = Path(sys.modules["purchase_pipeline"].__path__[0])
    return any(path.stat().st_mtime > began for path in package.rglob("*.py"))


def _import_all(server: Path) -> None:
    python = sys.executable
    # Its services are started by what `sys.executable` is at the import; all else, such as Dagster's runs, by Python.
    sys.executable = str(write_stand_in(services_stand_in(server), Path(python), server))
    import_module(_SERVICES)
    sys.executable = python
    for name in _IMPORTED:
        import_module(name)


def _run(program: str, *words: str) -> None:
    """Run a program as `__main__`."""
    sys.argv = [program, *words]
    if program == sys.executable:
        sys.argv = sys.argv[2:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(program).parent)
        runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    with start.importing():
        _import_all(Path(sys.argv[1]))
    _run(*_serve(Path(sys.argv[1])))
