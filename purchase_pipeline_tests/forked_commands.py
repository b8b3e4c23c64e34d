"""Console scripts in processes forked from one that has the command line imported: most of what a command costs.

`python -m purchase_pipeline_tests.forked_commands SOCKET` is that process. A stand-in for a script sends it what a
process starts with, passes signals on, and ends as the script does.
"""

import atexit
import marshal
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from time import time, tzset
from typing import NoReturn

from purchase_pipeline.stack.start import importing
from purchase_pipeline_tests.documents import PROJECT
from purchase_pipeline_tests.waiting import wait_until

_STAND_IN = """\
#!{python} -IS
import marshal, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
os.umask(umask := os.umask(0))
request = [{script!r}, sys.argv[1:], dict(os.environ), os.getcwd(), umask]
socket.send_fds(server, [marshal.dumps(request)], [0, 1, 2])
server.shutdown(socket.SHUT_WR)
told = server.makefile("rb")
pid = int(told.readline())
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: os.kill(pid, number))
code = int(told.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""
_IMPORTED = (
    "dagster._core.execution.api",
    "dagster._core.executor.in_process",
    "dagster_postgres",
    "httpcore",
    "purchase_pipeline.cli.backup",
    "purchase_pipeline.cli.inspect",
    "purchase_pipeline.cli.load",
    "purchase_pipeline.cli.local",
    "purchase_pipeline.cli.quarantine",
    "purchase_pipeline.cli.sales",
    "purchase_pipeline.cli.sql",
    "purchase_pipeline.definitions",
    "purchase_pipeline.ingest.fast_path",
    "purchase_pipeline.ops.status",
    "purchase_pipeline.postgres.frames.arrow",
    "purchase_pipeline.stack.dagster_storage",
)
_INTERPRETER = ("LANG", "LC_", "PYTHON")
"""Variables that Python reads as it starts, by the beginning of their names."""


@cache
def forked(script: Path) -> Path:
    """Return a stand-in for a script of this environment."""
    server = start_server(Path(sys.executable), tuple(os.environ.items()), PROJECT)
    return write_stand_in(server.with_name(f"{script.name}.forked"), script, server)


def write_stand_in(path: Path, script: Path, server: Path) -> Path:
    """Write a stand-in for a script, and return its path."""
    path.write_text(_STAND_IN.format(python=sys.executable, address=str(server), script=str(script)))
    path.chmod(0o755)
    return path


@cache
def start_server(python: Path, environment: tuple[tuple[str, str], ...], checkout: Path) -> Path:
    """Start a process that forks commands of a checkout; it ends with this one. Return its socket."""
    # Named so that one command knows another by its command line.
    address = Path(tempfile.mkdtemp(prefix="commands-", dir="/tmp"), "purchase-pipeline")
    server = subprocess.Popen(
        [python, "-m", __name__, address],
        env=dict(environment),
        cwd=checkout,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: address.exists() or server.poll() is not None, look_seconds=0.02)
    assert server.poll() is None
    atexit.register(server.communicate)
    return address


def _asked_for(address: str) -> tuple[str, list[str]]:
    """Fork twice for each stand-in that connects; return, in the second process, the script and its arguments."""
    began = time()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the first ones
        while True:
            readable, _, _ = select.select([listener.fileno(), 0], [], [])
            if 0 in readable:  # closed, as whoever started this has ended
                rmtree(Path(address).parent)
                os._exit(0)
            connection, _ = listener.accept()
            if not os.fork():
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while more := connection.recv(1 << 20):
        message += more
    script, words, environment, folder, umask = marshal.loads(message)  # noqa: S302  (from the stand-in)
    if pid := os.fork():
        _tell_the_end(pid, connection)
    connection.close()
    os.setsid()
    os.chdir(folder)
    os.umask(umask)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if _interpreter(environment) != _interpreter(os.environ) or _has_changed_since(began):
        os.execve(script, [script, *words], environment)  # noqa: S606  (what it stands for)
    os.environ.clear()
    os.environ.update(environment)
    tzset()
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    return script, words


def _tell_the_end(pid: int, connection: socket.socket) -> NoReturn:
    """Send a process's id, then its exit code."""
    os.closerange(0, connection.fileno())
    try:
        connection.sendall(b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    finally:
        os._exit(0)


def _interpreter(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_INTERPRETER)}


def _has_changed_since(began: float) -> bool:
    """Return whether a file of the package has been written since then."""
    package = Path(sys.modules["purchase_pipeline"].__path__[0])
    return any(path.stat().st_mtime > began for path in package.rglob("*.py"))


if __name__ == "__main__":
    with importing():
        for _name in _IMPORTED:
            import_module(_name)
    _script, _words = _asked_for(sys.argv[1])
    sys.path[0] = str(Path(_script).parent)
    sys.argv = [_script, *_words]
    runpy.run_path(_script, run_name="__main__")
