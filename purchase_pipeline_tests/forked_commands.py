"""Commands in processes forked from one that has imported them, which is most of what they cost.

A stand-in for a program sends `command_server.py` what a process starts with, passes signals on, and ends as it does.
"""

import atexit
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from purchase_pipeline_tests.documents import PROJECT
from purchase_pipeline_tests.waiting import wait_until

_STAND_IN = """\
#!{python} -IS
import marshal, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
os.umask(umask := os.umask(0))
request = marshal.dumps([{program!r}, sys.argv[1:], dict(os.environ), os.getcwd(), umask])
socket.send_fds(server, [b"%d\\n" % len(request)], [0, 1, 2])
server.sendall(request)
reported = server.makefile("rb")
pid = int(reported.readline())
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: os.kill(pid, number))
code = int(reported.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""
_WITH_FORKED_SERVICES = """\
#!{python}
import runpy, sys
python, sys.executable = sys.executable, {services!r}
import purchase_pipeline.stack.services
sys.executable, sys.argv[0] = python, {program!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@cache
def forked(script: Path) -> Path:
    """Return a stand-in for a script of this environment."""
    server = _own_server()
    return write_stand_in(server.with_name(f"{script.name}.forked"), script, server)


@cache
def with_forked_services(script: Path) -> Path:
    """Return what runs a script of this environment as it is, but forks the services that it starts."""
    server = _own_server()
    path = server.with_name(f"{script.name}.real")
    path.write_text(
        _WITH_FORKED_SERVICES.format(
            python=sys.executable, services=str(services_stand_in(server)), program=str(script)
        )
    )
    path.chmod(0o755)
    return path


def services_stand_in(server: Path) -> Path:
    """Return the path of the stand-in for Python that forks services, which the server writes as it starts."""
    return server.with_name("python")


@cache
def _own_server() -> Path:
    # Not by the environment of each call, which names the current test.
    return start_server(Path(sys.executable), tuple(os.environ.items()), PROJECT)


def write_stand_in(path: Path, program: Path, server: Path) -> Path:
    """Write a stand-in for a program, and return its path."""
    path.write_text(_STAND_IN.format(python=sys.executable, address=str(server), program=str(program)))
    path.chmod(0o755)
    return path


@cache
def start_server(python: Path, environment: tuple[tuple[str, str], ...], checkout: Path) -> Path:
    """Start a process that forks commands of a checkout; it ends with this one. Return its socket."""
    # Named so that one command knows another by its command line.
    address = Path(tempfile.mkdtemp(prefix="commands-", dir="/tmp"), "purchase-pipeline")
    server = subprocess.Popen(
        [python, "-m", "purchase_pipeline_tests.command_server", address],
        env=dict(environment),
        cwd=checkout,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: address.exists() or server.poll() is not None, look_seconds=0.02)
    assert server.poll() is None
    atexit.register(server.communicate)
    return address
