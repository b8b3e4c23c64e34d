"""Privileges of the database roles, on a real server."""

import shutil
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import psycopg
import pytest

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME, Settings
from purchase_pipeline.stack.database import (
    dagster_storage_url,
    database_url,
    reader_url,
    scratch_url,
    start_database,
)
from purchase_pipeline.stack.embedded_postgres.files import ServerFiles
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline.stack.roles import DAGSTER, LOADER, READER, ROLES_FILE, SCRATCH, reader_statements
from purchase_pipeline_tests.leftovers import short_folder

pytestmark = pytest.mark.database  # the embedded server, whatever the Python

Rows = list[tuple[object, ...]]
OWNERS = """
    SELECT relname, pg_get_userbyid(relowner) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'S') ORDER BY relname
"""


class Home(NamedTuple):
    """The settings of a home, and its server."""

    settings: Settings
    server: EmbeddedPostgres

    def run(self, role: str, name: str, *statements: str) -> Rows:
        """Run statements as a role in autocommit, and return the last one's rows."""
        with psycopg.connect(self.server.url(name, role), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """A home of an earlier version, with objects owned by the superuser, started by this one."""
    folder = short_folder("roles-")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PURCHASE_HOME", str(folder))
        settings = Settings()
    home = Home(settings, EmbeddedPostgres(settings.postgres_home))
    try:
        home.server.start()
        for name in (DATABASE_NAME, DAGSTER_DATABASE_NAME):
            home.run("postgres", "postgres", f"CREATE DATABASE {name}")
            home.run("postgres", name, "CREATE TABLE old (id serial)", "CREATE VIEW seen AS TABLE old")
        start_database(settings)
        home.run(LOADER, DATABASE_NAME, "CREATE TABLE purchases AS SELECT 1 AS linha")
        home.run(DAGSTER, DAGSTER_DATABASE_NAME, "CREATE TABLE runs AS SELECT 1 AS id")
        yield home
    finally:
        home.server.remove()
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("role", "name", "statement"),
    [
        (LOADER, DATABASE_NAME, "INSERT INTO purchases VALUES (2)"),
        (LOADER, DATABASE_NAME, "CREATE TEMPORARY TABLE staged AS TABLE purchases"),
        (LOADER, DATABASE_NAME, "ALTER TABLE old ADD COLUMN note text"),
        (READER, DATABASE_NAME, "SELECT * FROM purchases, old, seen"),
        (DAGSTER, DAGSTER_DATABASE_NAME, "DELETE FROM runs"),
        (DAGSTER, DAGSTER_DATABASE_NAME, "INSERT INTO old DEFAULT VALUES"),
    ],
)
def test_a_role_has_the_privileges_that_it_needs(home: Home, role: str, name: str, statement: str) -> None:
    home.run(role, name, statement)


@pytest.mark.parametrize(
    ("role", "name"),
    [
        (LOADER, DAGSTER_DATABASE_NAME),
        (READER, DAGSTER_DATABASE_NAME),
        (DAGSTER, DATABASE_NAME),
    ],
)
def test_a_role_cannot_connect_to_other_databases(home: Home, role: str, name: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=f'permission denied for database "{name}"'):
        home.run(role, name, "SELECT 1")


@pytest.mark.parametrize("role", [LOADER, READER, DAGSTER])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE DATABASE mine",
        "CREATE ROLE mine",
        "CREATE SCHEMA mine",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "SELECT pg_read_file('/etc/hostname')",
        "SELECT lo_import('/etc/hostname')",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "COPY (SELECT 1) TO '/tmp/written-by-postgres'",
        "ALTER SYSTEM SET archive_command = 'true'",
    ],
)
def test_no_role_reaches_the_server_its_files_or_its_programs(home: Home, role: str, statement: str) -> None:
    name = DAGSTER_DATABASE_NAME if role == DAGSTER else DATABASE_NAME
    if (role, statement) == (DAGSTER, "CREATE SCHEMA mine"):
        home.run(role, name, statement)  # the database is its own
        return

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        home.run(role, name, "SET default_transaction_read_only = off", statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO purchases VALUES (3)",
        "UPDATE purchases SET linha = 3",
        "DELETE FROM purchases",
        "TRUNCATE purchases",
        "DROP TABLE purchases",
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
    ],
)
def test_the_reader_cannot_write_even_in_a_read_write_transaction(home: Home, statement: str) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        home.run(READER, DATABASE_NAME, statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        home.run(READER, DATABASE_NAME, "SET default_transaction_read_only = off", statement)


def test_the_reader_can_read_tables_created_later(home: Home) -> None:
    home.run(LOADER, DATABASE_NAME, "CREATE TABLE later AS SELECT 7 AS linha")

    assert home.run(READER, DATABASE_NAME, "TABLE later") == [(7,)]


@pytest.mark.parametrize(("name", "role"), [(DATABASE_NAME, LOADER), (DAGSTER_DATABASE_NAME, DAGSTER)])
def test_tables_of_an_earlier_version_change_their_owner(home: Home, name: str, role: str) -> None:
    owners = home.run("postgres", name, OWNERS)

    assert {"old", "old_id_seq", "seen"} <= {relation for relation, _ in owners}
    assert {owner for _, owner in owners} == {role}


def test_missing_roles_are_created_at_the_next_start(home: Home) -> None:
    home.run("postgres", "postgres", f"REVOKE CONNECT ON DATABASE {DATABASE_NAME} FROM {READER}")

    start_database(home.settings)

    assert home.run(READER, DATABASE_NAME, "SELECT count(*) FROM old") == [(0,)]


def test_an_administrator_can_run_the_same_file_with_psql(home: Home) -> None:
    psql = ServerFiles(home.settings.postgres_home).binaries() / "psql"
    url = home.server.url("postgres")
    home.run("postgres", "postgres", f"REVOKE CONNECT ON DATABASE {DATABASE_NAME} FROM {READER}")

    done = subprocess.run(
        [psql, "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", str(ROLES_FILE), url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert home.run(READER, DATABASE_NAME, "SELECT count(*) FROM old") == [(0,)]


def test_each_url_has_its_role(home: Home) -> None:
    reader = reader_url(home.settings)
    dagster = dagster_storage_url(home.settings).replace("+psycopg2", "")
    assert reader is not None

    seen = []
    for url in (database_url(home.settings), reader, dagster):
        with psycopg.connect(url) as connection:
            seen += connection.execute("SELECT current_user, current_database()").fetchall()

    assert seen == [(LOADER, DATABASE_NAME), (READER, DATABASE_NAME), (DAGSTER, DAGSTER_DATABASE_NAME)]


def test_the_scratch_role_can_use_only_its_own_database(home: Home) -> None:
    assert scratch_url(home.settings) == scratch_url(home.settings) == home.server.url(SCRATCH, SCRATCH)

    home.run(SCRATCH, SCRATCH, "CREATE SCHEMA bronze", "CREATE TABLE bronze.made AS SELECT 1 AS id")

    for name in (DATABASE_NAME, DAGSTER_DATABASE_NAME):
        with pytest.raises(psycopg.OperationalError, match=f'permission denied for database "{name}"'):
            home.run(SCRATCH, name, "SELECT 1")
    for role in (LOADER, READER, DAGSTER):
        with pytest.raises(psycopg.OperationalError, match=f'permission denied for database "{SCRATCH}"'):
            home.run(role, SCRATCH, "SELECT 1")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        home.run(SCRATCH, SCRATCH, "CREATE ROLE mine")


def test_dagsters_connections_have_timeouts(home: Home) -> None:
    url = dagster_storage_url(home.settings)

    assert {"connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count"} <= {
        option.partition("=")[0] for option in url.partition("?")[2].split("&")
    }


def test_reader_statements_create_a_reader(home: Home) -> None:
    home.run("postgres", "postgres", "CREATE ROLE ana LOGIN", 'CREATE DATABASE "a shop" OWNER ana')

    home.run("postgres", "a shop", *reader_statements("a shop", "ana").splitlines())
    home.run("ana", "a shop", "CREATE TABLE sold AS SELECT 9 AS price")

    assert home.run(READER, "a shop", "TABLE sold") == [(9,)]
