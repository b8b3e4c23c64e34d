"""A user at a terminal: real commands and processes in a separate home."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import psycopg

from purchase_pipeline.settings import DATABASE_NAME
from purchase_pipeline.stack.embedded_postgres.files import ServerFiles
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline.stack.roles import LOADER
from purchase_pipeline_tests.forked_commands import forked, with_forked_services
from purchase_pipeline_tests.serving import free_port

COMMAND = Path(sys.executable).with_name("purchase-pipeline")
# Only a power cut could tell the difference. Commits stay synchronous: a server that a test kills would lose the last.
_NOT_DURABLE = "fsync = off\nfull_page_writes = off\n"
COUNTS = "SELECT count(*), count(DISTINCT lote), count(DISTINCT (lote, linha)) FROM tabela_compras"


def copy_home(source: Path, home: Path) -> None:
    """Copy a home whose server has stopped; its databases cost as much CPU as two commands to create."""
    shutil.copytree(source, home, symlinks=True)
    theirs, own = ServerFiles(source / "postgres"), ServerFiles(home / "postgres")
    if own.is_outside:
        (own.home / "server").unlink()
        own.make_folder()
        for folder, how in (
            (theirs.data, "-a"),
            *((path, "-al") for path in theirs.folder.glob("binaries-*")),
        ):
            subprocess.run(["/bin/cp", how, folder, own.folder], check=True)  # with owner and mode


class Person:
    """A user at a terminal, with a home folder for the pipeline's state and free ports."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.forks_services = True
        self._server = EmbeddedPostgres(home / "postgres")
        self.port, self.api_port = free_port(), free_port()
        self.environment = {**os.environ, "PURCHASE_HOME": str(home), "COLUMNS": "120"}
        del self.environment["PURCHASE_LOTS"]

    def prepare(self) -> None:
        """Create the home's databases, and stop their server, to be copied."""
        assert self.run("status").returncode == 0
        with (ServerFiles(self.home / "postgres").data / "postgresql.conf").open("a") as configuration:
            configuration.write(_NOT_DURABLE)

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [forked(COMMAND), *words],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def run_all(self, *commands: Sequence[str], **environment: str) -> list[subprocess.CompletedProcess[str]]:
        """Run commands one after the other."""
        return [self.run(*words, **environment) for words in commands]

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [with_forked_services(COMMAND) if self.forks_services else COMMAND, *words],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def up(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(*self.up_words(*words), **environment)

    def up_words(self, *words: str) -> list[str]:
        return ["up", "--every", "1", "--no-ui", "--exit-when-done", "--api-port", str(self.api_port), *words]

    def ingest(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run("ingest", "--api-port", str(self.api_port), *words, **environment)

    def database_url(self) -> str:
        """Start the home's own server if it does not run, and return what `db-url` prints."""
        self._server.start()
        return self._server.url(DATABASE_NAME, LOADER)

    def leave(self) -> None:
        """Remove the home and its server; what else was started from there still runs."""
        if self.home.exists():
            self._server.remove()
            shutil.rmtree(self.home)

    def counts(self) -> tuple[int, ...]:
        with psycopg.connect(self.database_url()) as connection:
            (row,) = connection.execute(COUNTS).fetchall()
        return tuple(row)

    def processes(self) -> list[str]:
        """Return the command lines of all running processes of this home."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get("PURCHASE_HOME") == str(self.home)
                if ours or str(self.home) in " ".join(process.cmdline()):
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found


def listening(person: Person) -> set[tuple[str, int]]:
    """Return every TCP address that a process of this home listens on."""
    found = set[tuple[str, int]]()
    for process in psutil.process_iter():
        try:
            if process.environ().get("PURCHASE_HOME") == str(person.home):
                found |= {
                    (one.laddr.ip, one.laddr.port)
                    for one in process.net_connections("inet")
                    if one.status == psutil.CONN_LISTEN
                }
        except psutil.Error:
            continue
    return found
