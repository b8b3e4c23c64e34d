"""libpq's environment variables do not redirect connections to the embedded server."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import psycopg
import pytest
import sqlalchemy as sa

from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import (
    dagster_storage_url,
    database_in_use,
    database_url,
    is_embedded,
    start_database,
)
from purchase_pipeline.stack.embedded_postgres.files import ServerFiles
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline.stack.libpq_environment import clear_libpq_environment
from purchase_pipeline_tests.leftovers import note, short_folder
from purchase_pipeline_tests.serving import free_port

pytestmark = pytest.mark.database  # the embedded server, whatever the Python

ELSEWHERE = "127.0.0.77"  # loopback on Linux
SESSION = """
    SELECT current_setting('DateStyle'), current_setting('TimeZone'), current_setting('client_encoding'),
        current_setting('search_path'), current_setting('default_transaction_read_only')
"""
HOSTILE = {
    "PGHOSTADDR": ELSEWHERE,
    "PGSERVICE": "nowhere",
    "PGSERVICEFILE": "/nowhere/service.conf",
    "PGOPTIONS": "-c search_path=nowhere -c default_transaction_read_only=on",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGREQUIREPEER": "somebody",
    "PGTARGETSESSIONATTRS": "standby",
    "PGSSLMODE": "bogus",
    "PGSSLNEGOTIATION": "bogus",
    "PGREQUIRESSL": "1",
    "PGGSSENCMODE": "bogus",
    "PGCHANNELBINDING": "require",
    "PGMINPROTOCOLVERSION": "bogus",
    "PGLOADBALANCEHOSTS": "bogus",
    "PGCONNECT_TIMEOUT": "soon",
    "PGCLIENTENCODING": "SQL_ASCII",
    "PGDATESTYLE": "SQL, DMY",
    "PGTZ": "Asia/Tokyo",
    "PGUSER": "somebody",
    "PGDATABASE": "somewhere",
    "PGHOST": ELSEWHERE,
    "PGPORT": "9",
    "PGPASSFILE": "/nowhere/pgpass",
}


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """A home with its server."""
    with tempfile.TemporaryDirectory(prefix="libpq-", dir="/tmp") as folder:
        note(Path(folder))
        settings = Settings(home=Path(folder) / "home")
        start_database(settings)
        yield settings
        EmbeddedPostgres(settings.postgres_home).remove()


@contextmanager
def a_server_elsewhere() -> Iterator[str]:
    """The superuser's URL of another server that trusts TCP connections on the same port."""
    folder = short_folder("elsewhere-")
    server, place = EmbeddedPostgres(folder / "postgres"), ServerFiles(folder / "postgres")
    try:
        server.start()
        server.stop()
        (place.data / "pg_hba.conf").write_text("host all all 127.0.0.0/8 trust\n")
        program = [str(place.binaries() / "postgres"), "-D", "data", "-c", f"listen_addresses={ELSEWHERE}"]
        with subprocess.Popen(
            [*program, "-c", "unix_socket_directories="],
            cwd=place.folder,
            stderr=subprocess.DEVNULL,
            user=place.account.uid if place.is_outside else None,
            group=place.account.gid if place.is_outside else None,
            extra_groups=[] if place.is_outside else None,
        ) as process:
            try:
                url = f"postgresql://postgres@{ELSEWHERE}:5432/postgres"
                while psycopg.pq.PGconn.ping(url.encode()) != psycopg.pq.Ping.OK:
                    assert process.poll() is None
                    sleep(0.05)
                yield url
            finally:
                process.send_signal(signal.SIGINT)
    finally:
        server.remove()
        shutil.rmtree(folder)


@pytest.mark.parametrize(("name", "value"), HOSTILE.items())
def test_no_variable_changes_a_connection(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with database_in_use(settings):
        with psycopg.connect(database_url(settings)) as by_psycopg:
            ours = by_psycopg.execute(SESSION).fetchone()
        by_psycopg2 = sa.create_engine(dagster_storage_url(settings), poolclass=sa.NullPool)
        with by_psycopg2.connect() as connection:
            dagsters = tuple(connection.execute(sa.text(SESSION)).one())

    assert ours == dagsters == ("ISO, MDY", "UTC", "UTF8", '"$user", public', "off")


def test_every_variable_of_libpq_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    options = psycopg.pq.Conninfo.get_defaults()
    names = {option.envvar.decode() for option in options if option.envvar} | HOSTILE.keys()
    for name in names:
        monkeypatch.setenv(name, "0")

    clear_libpq_environment()

    assert names & os.environ.keys() == set()


def test_an_external_database_respects_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_server_elsewhere() as elsewhere:
        monkeypatch.setenv("PGHOSTADDR", ELSEWHERE)
        monkeypatch.setenv("DATABASE_URL", elsewhere.replace(ELSEWHERE, "no.such.host.example"))
        given = Settings()

        with database_in_use(given):
            pass

        assert not is_embedded(given)
        assert os.environ["PGHOSTADDR"] == ELSEWHERE


def test_a_server_named_by_pghostaddr_is_not_used(tmp_path: Path) -> None:
    home = tmp_path / "home"
    program = Path(sys.executable).with_name("purchase-pipeline")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PURCHASE_")}
    environment = {**clean, **HOSTILE, "PURCHASE_HOME": str(home)}

    ingest: list[str | Path] = [
        program,
        "ingest",
        "--lots",
        "1",
        "--rows",
        "10",
        "--api-port",
        str(free_port()),
    ]
    with a_server_elsewhere() as elsewhere:
        try:
            done = subprocess.run(
                ingest, env=environment, capture_output=True, text=True, timeout=300, check=False
            )
        finally:
            EmbeddedPostgres(home / "postgres").remove()
        with psycopg.connect(elsewhere) as connection:
            databases = connection.execute("SELECT datname FROM pg_database ORDER BY datname").fetchall()
            roles = connection.execute("SELECT rolname FROM pg_roles WHERE rolcanlogin").fetchall()

    assert done.returncode == 0, done.stderr
    assert "1 of 1 batches loaded" in done.stdout
    assert (databases, roles) == ([("postgres",), ("template0",), ("template1",)], [("postgres",)])
