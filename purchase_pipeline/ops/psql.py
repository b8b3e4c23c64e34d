"""`psql`: PostgreSQL's own client on the database in use, as a role that only reads."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from purchase_pipeline.errors import PipelineError
from purchase_pipeline.postgres.urls import parsed_url
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import database_in_use, database_url, is_embedded, reader_url
from purchase_pipeline.stack.embedded_postgres.files import EmbeddedPostgresError, installed_programs

_READ_ONLY = "-c default_transaction_read_only=on"


class PsqlMissingError(PipelineError):
    """psql is not installed."""


def run_psql(settings: Settings, arguments: Sequence[str]) -> int:
    """Run psql until it ends, and return its exit code; 128 + the signal's number if one ended it.

    Raises:
        PsqlMissingError: there is no psql.
    """
    program = _program(settings)
    with database_in_use(settings):
        # In the environment, which `ps` shows to nobody else; arguments such as `-d dagster` still take precedence.
        environment = {**os.environ, **_connection(settings)}
        with _running([str(program), *arguments], environment) as process:
            code = process.wait()
    return code if code >= 0 else 128 - code


def _program(settings: Settings) -> Path:
    """Return psql: the embedded server's own; for another server that on the PATH, if there is one."""
    if not is_embedded(settings) and (found := shutil.which("psql")):
        return Path(found)
    with suppress(EmbeddedPostgresError):
        return installed_programs() / "psql"
    raise PsqlMissingError(
        "There is no psql on the PATH.",
        hint="Install PostgreSQL's client: `apt-get install postgresql-client` or `brew install libpq`. Without it, "
        '`purchase-pipeline sql "select ..."` reads the tables.',
    )


def _connection(settings: Settings) -> dict[str, str]:
    """Return libpq's variables for the reader; on another server, for DATABASE_URL's user in read-only transactions.

    A few of libpq's parameters, such as `keepalives`, have no variable. psql does without them.
    """
    url, secrets = parsed_url(reader_url(settings) or database_url(settings))
    _, parameters = url.get_dialect()().create_connect_args(url)
    if not is_embedded(settings):
        parameters["options"] = f"{parameters.get('options', '')} {_READ_ONLY}".strip()
    values = {**parameters, **secrets}
    options = psycopg.pq.Conninfo.get_defaults()
    variables = {option.keyword.decode(): option.envvar.decode() for option in options if option.envvar}
    return {variables[name]: str(value) for name, value in values.items() if name in variables}


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
