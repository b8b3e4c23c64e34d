"""Dagster's code server with forked runs: `python -m purchase_pipeline.stack.code_server`.

Its options are those of `dagster api grpc`, which starts each run in a new interpreter: nine tenths of a run's CPU time
are imports (2.9 s of a batch's, 0.4 s when forked). Here a run is forked from a process that has imported the
definitions, and has no thread and no connection (`multiprocessing`'s fork server). That process is forked from the code
server before it serves, which shares what both have imported; if it is killed, the next run starts it as a program.
"""

import multiprocessing
import multiprocessing.forkserver
import multiprocessing.util
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from purchase_pipeline.settings import current_settings
from purchase_pipeline.stack import preloaded
from purchase_pipeline.stack.dagster_internals import DagsterApiServer, api_cli, grpc_server
from purchase_pipeline.stack.log_format import use_log_format

_LONGEST_FOLDER = 70  # a socket's path is limited to 103 bytes on macOS, 107 on Linux
_STANDARD_STREAMS = range(3)


class ForkingApiServer(DagsterApiServer):
    """The servicer of a code server, which starts runs by its fork server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (Dagster's)
        super().__init__(*args, **kwargs)
        self._mp_ctx = multiprocessing.get_context("forkserver")  # type: ignore[assignment]  # "spawn" there


def main() -> None:
    """Serve until terminated."""
    arguments = sys.argv[1:]
    settings = current_settings()
    use_log_format(settings)
    if "-m" in arguments[:-1]:  # without it, the command explains itself
        os.environ[preloaded.MODULE] = arguments[arguments.index("-m") + 1]
        preloaded.load()
        _fork_server()
    grpc_server.DagsterApiServer = ForkingApiServer  # type: ignore[misc]  # where the command finds it
    log = ["--log-format", settings.log_format]
    api_cli(["grpc", *log, *arguments], prog_name="purchase_pipeline.stack.code_server")


def _fork_server() -> None:
    """Fork the process that forks runs, which `multiprocessing` would start as a program that imports all again."""
    _make_socket_folder()
    multiprocessing.set_forkserver_preload([preloaded.__name__])
    start_program = multiprocessing.util.spawnv_passfds
    multiprocessing.util.spawnv_passfds = _forked
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        multiprocessing.util.spawnv_passfds = start_program


def _forked(path: bytes, args: Sequence[Any], passfds: Sequence[int]) -> int:  # noqa: ARG001
    """Fork, as `multiprocessing` starts a fork server: with two descriptors, and all others closed."""
    if pid := os.fork():
        return pid
    for descriptor in {int(name) for name in os.listdir("/dev/fd")} - {*_STANDARD_STREAMS, *passfds}:  # noqa: PTH208  (names)
        with suppress(OSError):  # that of the listing
            os.close(descriptor)
    try:
        listener, alive = passfds
        multiprocessing.forkserver.main(listener, alive, preload=[])
    finally:
        os._exit(0)


def _make_socket_folder() -> None:
    """Make the folder of multiprocessing's sockets in /tmp if their paths would be too long elsewhere."""
    default = tempfile.gettempdir()
    if len(os.fsencode(default)) > _LONGEST_FOLDER:
        tempfile.tempdir = "/tmp"  # noqa: S108  (mkdtemp's is private)
    multiprocessing.util.get_temp_dir()  # created once in a process
    tempfile.tempdir = default


if __name__ == "__main__":
    main()
