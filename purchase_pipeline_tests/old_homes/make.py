"""Make a home with the program of a checkout, use it as people do, and pack a backup of it for `test_upgrades.py`.

At a release:

    git worktree add --detach /tmp/release TAG && make -C /tmp/release .venv/.installed
    python -m purchase_pipeline_tests.old_homes.make /tmp/release purchase_pipeline_tests/old_homes/VERSION.tar.xz

The home has 12 batches that the sensor loaded: with rejected rows, one that failed first, one that was run twice, one
that was wiped and loaded again, one that was replayed; and the marts. With `--data-only`, the backup is without
Dagster's history, which is most of it.
"""

import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME
from purchase_pipeline.stack.embedded_postgres.files import installed_programs
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline_tests.serving import free_port

BATCHES, ROWS = 12, 40
LOAD = ["--rows", str(ROWS), "--defects", "0.1"]
MAX_REJECTED_RATIO = {"PURCHASE_MAX_REJECTED_RATIO": "0.5"}
_LOADED = "SELECT count(*) FROM slice_ledger WHERE asset = 'tabela_compras'"
_UPDATED_SINCE = "SELECT count(*) FROM slice_ledger WHERE asset = 'top_brands' AND committed_at > '{}'"
_NOW = "SELECT clock_timestamp()"
_WIPE = "DELETE FROM tabela_compras WHERE lote = 'lote-0003'"
_LOSE_A_ROW = "DELETE FROM tabela_compras WHERE lote = 'lote-0004' AND linha < 3"
_SECONDS = 180.0
# What Dagster evaluated, tick by tick: only its page of automations shows it.
_LEFT_OUT = "--exclude-table-data=asset_daemon_asset_evaluations"


class OldProgram:
    """The commands of a checkout, in a home of their own."""

    def __init__(self, checkout: Path, home: Path) -> None:
        self._checkout = checkout
        self.home = home
        self.server = EmbeddedPostgres(home / "postgres")
        self._api_port = ["--api-port", str(free_port())]
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PURCHASE_")},
            **MAX_REJECTED_RATIO,
            "PURCHASE_HOME": str(home),
            "PURCHASE_EVERY": "1",
        }

    def start(
        self, *words: str, program: str = "purchase-pipeline", **environment: str
    ) -> "subprocess.Popen[bytes]":
        """Start a program; what it prints is shown."""
        command = [str(self._checkout / ".venv" / "bin" / program), *words]
        return subprocess.Popen(command, env={**self._environment, **environment}, cwd=self._checkout)

    def start_loading(self, *words: str, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a command that starts the mock API."""
        return self.start(*words, *LOAD, *self._api_port, **environment)

    def sql(self, statement: str) -> str:
        """Execute a statement; return the value that it finds. The server must be running."""
        found = self.client("psql", DATABASE_NAME, "--tuples-only", "--no-align", "--command", statement)
        return found.decode().strip()

    def wait_for(self, query: str, wanted: int) -> None:
        """Wait until a query finds a number."""
        end = time.monotonic() + _SECONDS
        while self.sql(query) != str(wanted):
            if time.monotonic() > end:
                raise TimeoutError(f"{query} did not become {wanted}")
            time.sleep(1)

    def client(self, program: str, database: str, *words: str) -> bytes:
        """Run a client program of PostgreSQL, and return what it prints."""
        command = [str(installed_programs() / program), "--dbname", self.server.url(database), *words]
        return subprocess.run(command, capture_output=True, check=True).stdout


def use(program: OldProgram) -> None:
    """Do in a home what people do in one."""
    program.start_loading("ingest", "--lots", "1", PURCHASE_MAX_REJECTED_RATIO="0.001").wait()  # fails
    program.start_loading("up", "--lots", "10", "--no-ui", "--exit-when-done").wait()
    program.server.start()
    program.sql(_WIPE)
    up = program.start_loading("up", "--lots", str(BATCHES), "--no-ui")
    program.wait_for(_LOADED, BATCHES)
    _run_again(program, "lote-0002")
    program.sql(_LOSE_A_ROW)
    replayed = program.sql(_NOW)
    program.start("replay").wait()
    program.wait_for(_UPDATED_SINCE.format(replayed), 1)
    time.sleep(30)  # the report is written after the marts
    up.terminate()
    up.wait()
    program.start("verify").wait()


def _run_again(program: OldProgram, lote: str) -> None:
    storage = program.server.url(DAGSTER_DATABASE_NAME, "dagster")
    program.start(
        *("job", "execute", "-m", "purchase_pipeline.definitions", "-j", "ingest_lote"),
        *("--tags", f'{{"dagster/partition": "{lote}"}}'),
        program="dagster",
        DAGSTER_HOME=str(program.home / "dagster"),
        DAGSTER_POSTGRES_URL=storage.replace("postgresql:", "postgresql+psycopg2:", 1),
    ).wait()


def pack(program: OldProgram, archive: Path, databases: Sequence[str]) -> None:
    """Write dumps of the databases, and the home's files, to an archive."""
    program.server.start()
    with TemporaryDirectory() as folder, tarfile.open(archive, "w:xz", preset=9) as packed:
        for name in databases:
            dumped = Path(folder) / f"{name}.dump"
            dumped.write_bytes(
                program.client("pg_dump", name, "--format=custom", "--compress=none", _LEFT_OUT)
            )
            packed.add(dumped, dumped.name, filter=_anonymous)
        for path in ("campaign.env", "dagster/dagster.yaml", "landing"):
            packed.add(program.home / path, f"home/{path}", filter=_anonymous)
    program.start("down").wait()


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    return member.replace(uid=0, gid=0, uname="", gname="", mtime=0, deep=False)


def main(checkout: str, archive: str, *options: str) -> None:
    """Make a home and pack it."""
    databases = [DATABASE_NAME] if options == ("--data-only",) else [DATABASE_NAME, DAGSTER_DATABASE_NAME]
    with TemporaryDirectory(prefix="old-home-") as folder:
        program = OldProgram(Path(checkout).absolute(), Path(folder) / "home")
        try:
            use(program)
            pack(program, Path(archive), databases)
        finally:
            program.start("reset", "--yes").wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
