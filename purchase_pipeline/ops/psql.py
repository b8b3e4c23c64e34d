"""`psql`: PostgreSQL's own client on the database in use, as a role that only reads."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.client_programs import client_program, libpq_variables
from purchase_pipeline.stack.database import database_in_use, database_url, reader_url

_READ_ONLY = "-c default_transaction_read_only=on"
_INSTEAD = 'Without it, `purchase-pipeline sql "select ..."` reads the tables.'


def run_psql(settings: Settings, arguments: Sequence[str]) -> int:
    """Run psql until it ends, and return its exit code; 128 + the signal's number if one ended it.

    Raises:
        ClientProgramError: there is no psql.
    """
    program = client_program("psql", instead=_INSTEAD)
    with database_in_use(settings):
        # In the environment, which `ps` shows to nobody else; arguments such as `-d dagster` still take precedence.
        environment = {**os.environ, **_connection(settings)}
        with _running([str(program), *arguments], environment) as process:
            code = process.wait()
    return code if code >= 0 else 128 - code


def _connection(settings: Settings) -> dict[str, str]:
    """Return libpq's variables for the reader; on another server, for DATABASE_URL's user in read-only transactions."""
    if (reader := reader_url(settings)) is not None:
        return libpq_variables(reader)
    return libpq_variables(database_url(settings), _READ_ONLY)


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program that has the terminal: Ctrl-C is for it alone. Any other signal ends it, too."""
    before = signal.signal(signal.SIGINT, _leave_to_psql)  # not SIG_IGN, which psql would inherit
    try:
        with subprocess.Popen(command, env=environment) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.terminate()
    finally:
        signal.signal(signal.SIGINT, before)


def _leave_to_psql(signum: int, frame: object) -> None:
    """Do nothing: the terminal sends Ctrl-C to psql, too, which cancels the running statement."""
