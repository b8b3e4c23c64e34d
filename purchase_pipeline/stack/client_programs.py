"""PostgreSQL's client programs, psql, pg_dump and pg_restore: where they are, and how they connect."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg

from purchase_pipeline import PipelineError
from purchase_pipeline.postgres.urls import parsed_url
from purchase_pipeline.stack.embedded_postgres.files import EmbeddedPostgresError, installed_programs

_INSTALL = "Install PostgreSQL's client: `apt-get install postgresql-client` or `brew install libpq`."


class ClientProgramError(PipelineError):
    """A client program is missing, or failed."""


def client_program(name: str, *, server: int = 0, instead: str = "") -> Path:
    """Return a client program at least as new as the server's major version.

    That on the PATH comes first: the embedded server's psql cannot edit a line, and none of its programs has TLS.
    `instead` completes the hint.

    Raises:
        ClientProgramError: there is none.
    """
    for program in _installed(name):
        if not server or _major(program) >= server:
            return program
    newer = f" of PostgreSQL {server} or newer" if server else ""
    raise ClientProgramError(f"There is no {name}{newer} on the PATH.", hint=f"{_INSTALL} {instead}".rstrip())


def libpq_variables(url: str, options: str = "") -> dict[str, str]:
    """Return libpq's variables for a URL, which `ps` shows to nobody else; `options` are added to the URL's.

    A few of libpq's parameters, such as `keepalives`, have no variable. The programs do without them.
    """
    parsed, secrets = parsed_url(url)
    _, parameters = parsed.get_dialect()().create_connect_args(parsed)
    if options:
        parameters["options"] = f"{parameters.get('options', '')} {options}".strip()
    values = {**parameters, **secrets}
    known = psycopg.pq.Conninfo.get_defaults()
    variables = {option.keyword.decode(): option.envvar.decode() for option in known if option.envvar}
    return {variables[name]: str(value) for name, value in values.items() if name in variables}


def _installed(name: str) -> Iterator[Path]:
    if found := shutil.which(name):
        yield Path(found)
    with suppress(EmbeddedPostgresError):
        yield installed_programs() / name


def _major(program: Path) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(found[1]) if found else 0
