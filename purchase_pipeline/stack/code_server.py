"""Dagster's code server with forked runs: `python -m purchase_pipeline.stack.code_server`.

Its options are those of `dagster api grpc`, which starts each run in a new interpreter: nine tenths of a run's CPU time
are imports (2.9 s of a batch's, 0.4 s when forked). Here a run is forked from a process that has imported the
definitions, and has no thread and no connection (`multiprocessing`'s fork server). That process starts with the code
server, and again with the next run if it is killed.
"""

import multiprocessing
import multiprocessing.forkserver
import os
import sys
import tempfile
from multiprocessing.util import get_temp_dir
from typing import Any

from purchase_pipeline.settings import current_settings
from purchase_pipeline.stack import preloaded
from purchase_pipeline.stack.dagster_internals import DagsterApiServer, api_cli, grpc_server
from purchase_pipeline.stack.log_format import use_log_format

_LONGEST_FOLDER = 70  # a socket's path is limited to 103 bytes on macOS, 107 on Linux


class ForkingApiServer(DagsterApiServer):
    """The servicer of a code server, which starts runs by its fork server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (Dagster's)
        super().__init__(*args, **kwargs)
        self._mp_ctx = multiprocessing.get_context("forkserver")  # type: ignore[assignment]  # "spawn" there


def main() -> None:
    """Serve until terminated."""
    arguments = sys.argv[1:]
    if "-m" in arguments[:-1]:  # without it, the command explains itself
        os.environ[preloaded.MODULE] = arguments[arguments.index("-m") + 1]
    _make_socket_folder()
    multiprocessing.set_forkserver_preload([preloaded.__name__])
    multiprocessing.forkserver.ensure_running()
    if preloaded.MODULE in os.environ:
        preloaded.load("dagster_postgres", "dagster._grpc.impl")  # Dagster would, with garbage collection
    grpc_server.DagsterApiServer = ForkingApiServer  # type: ignore[misc]  # where the command finds it
    settings = current_settings()
    use_log_format(settings)
    log = ["--log-format", settings.log_format]
    api_cli(["grpc", *log, *arguments], prog_name="purchase_pipeline.stack.code_server")


def _make_socket_folder() -> None:
    """Make the folder of multiprocessing's sockets in /tmp if their paths would be too long elsewhere."""
    default = tempfile.gettempdir()
    if len(os.fsencode(default)) > _LONGEST_FOLDER:
        tempfile.tempdir = "/tmp"  # noqa: S108  (mkdtemp's is private)
    get_temp_dir()  # created once in a process
    tempfile.tempdir = default


if __name__ == "__main__":
    main()
