"""A session of psql that restores a dump in one transaction, which is committed by a later call.

`pg_restore --single-transaction` commits on its own; here two databases and the landed files change together.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO

from purchase_pipeline import PipelineError
from purchase_pipeline.ops.backups.tables import server_major
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.stack.client_programs import client_program, libpq_variables

_DONE = b"done"
_BEGIN = b"\\o /dev/null\nBEGIN;\n"
_PSQL = ("--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1")
_PG_RESTORE = ("--file=-", "--clean", "--if-exists")


class RestoreFailedError(PipelineError):
    """The database refused a statement of the backup. Nothing was changed."""


class SqlSession:
    """A transaction in psql. Whatever ends it before `commit` rolls it back."""

    def __init__(self, process: "subprocess.Popen[bytes]", errors: IO[bytes], server: int) -> None:
        self._process, self._errors, self._server = process, errors, server
        self._write(_BEGIN)

    def restore(self, dump: IO[bytes], options: Sequence[str]) -> None:
        """Run the statements of a dump.

        Raises:
            RestoreFailedError: one failed, or the dump is not one that pg_restore can read.
        """
        program = client_program("pg_restore", server=self._server)
        with subprocess.Popen(
            [program, *_PG_RESTORE, *options],
            stdin=subprocess.PIPE,
            stdout=self._process.stdin,
            stderr=self._errors,
            start_new_session=True,
        ) as reading:
            try:
                with suppress(BrokenPipeError):  # it has ended, and its message says why
                    shutil.copyfileobj(dump, _pipe(reading.stdin))
                _close(reading)
                code = reading.wait()
            finally:
                reading.kill()  # it may be waiting for psql, which waits for a lock
        if code:
            self._fail()
        self.run("")

    def run(self, statements: str) -> None:
        """Run statements, and wait until they are done.

        Raises:
            RestoreFailedError: one failed.
        """
        self._write(statements.encode() + b"\n\\echo " + _DONE + b"\n")
        if _pipe(self._process.stdout).readline().strip() != _DONE:
            self._fail()

    def commit(self) -> None:
        """Commit.

        Raises:
            RestoreFailedError: the server refused to, or was stopped.
        """
        self.run("COMMIT;")

    def _write(self, text: bytes) -> None:
        with suppress(BrokenPipeError):  # psql has ended, and its message says why
            _pipe(self._process.stdin).write(text)
            _pipe(self._process.stdin).flush()

    def _fail(self) -> None:
        _close(self._process)
        self._process.wait()
        self._errors.seek(0)
        message = self._errors.read().decode(errors="replace").strip()
        raise RestoreFailedError(f"The backup cannot be restored: {message}", hint="Nothing was changed.")


@contextmanager
def sql_session(url: str) -> Iterator[SqlSession]:
    """Open a session on a database; end it, without a commit, after the block."""
    with engine_for(url).connect() as connection:
        server = server_major(connection)
    program = client_program("psql", server=server)
    environment = {**os.environ, **libpq_variables(url)}
    with (
        TemporaryFile() as errors,
        # A session of its own: Ctrl-C is for this process, which rolls back in order.
        subprocess.Popen(
            [program, *_PSQL],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield SqlSession(process, errors, server)
        finally:
            process.terminate()
            _close(process)


def _close(process: "subprocess.Popen[bytes]") -> None:
    with suppress(BrokenPipeError):  # it has ended before it read all
        _pipe(process.stdin).close()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("the process was started without this pipe")
    return stream
