"""Database roles: the loader, the reader and Dagster; in the embedded server also a scratch role.

The grants are in `roles.sql`, which a database administrator can run as it is; the embedded server runs the same file.

They limit the damage of unwanted SQL: as the loader (a mistake, an injected value, a leaked URL) it reaches the
purchases, but not Dagster's history, another database, or the machine's files and programs. They do not protect the
embedded server from programs of its owner: on its socket, in a private folder, no role needs a password, so such a
program, a compromised run worker included, can connect as the superuser. If that matters, use a server with passwords.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files

import psycopg
from psycopg import sql

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME

LOADER = "purchase_loader"
READER = "purchase_reader"
DAGSTER = "dagster"
SCRATCH = "scratch"  # role, and its database
ROLES_FILE = files("purchase_pipeline.stack").joinpath("roles.sql")

_ADMINISTRATION = "postgres"  # exists on every server
_LOCK = 7_035_612_001  # used by nothing else in that database
_HAVE_ACCESS = """
    SELECT count(*) = 3 FROM (VALUES (%s, %s), (%s, %s), (%s, %s)) AS access (role, database)
    JOIN pg_roles ON rolname = role JOIN pg_database ON datname = database
    WHERE has_database_privilege(pg_roles.oid, pg_database.oid, 'CONNECT')
"""
_ACCESS = (LOADER, DATABASE_NAME, READER, DATABASE_NAME, DAGSTER, DAGSTER_DATABASE_NAME)


def has_roles(url_of: Callable[[str], str]) -> bool:
    """Return whether the three roles can connect to their databases, which is granted last.

    `url_of` returns the superuser's URL of a database.
    """
    with psycopg.connect(url_of(_ADMINISTRATION), connect_timeout=10) as connection:
        found = connection.execute(_HAVE_ACCESS, _ACCESS).fetchone()
    return found is not None and bool(found[0])


def make_roles(url_of: Callable[[str], str]) -> None:
    """Create both databases and the three roles with their grants, also on existing tables.

    Idempotent and safe to run concurrently. `url_of` returns the superuser's URL of a database.
    """
    with psycopg.connect(url_of(_ADMINISTRATION), connect_timeout=10, autocommit=True) as administration:
        administration.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        for name in (DATABASE_NAME, DAGSTER_DATABASE_NAME):
            create_database_if_missing(administration, name)
        for database, statements in _statements_by_database():
            with psycopg.connect(url_of(database), connect_timeout=10) as connection:
                connection.execute(statements)


def create_database_if_missing(connection: psycopg.Connection, name: str) -> None:
    """Create a database, using an autocommit connection to another one on the server."""
    if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount:
        with suppress(
            psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation
        ):  # created concurrently
            connection.execute("SET default_transaction_read_only = off")  # may be on for the role
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def make_scratch(url_of: Callable[[str], str]) -> None:
    """Create the scratch database, whose owner has all rights in it and none elsewhere.

    Idempotent and safe to run concurrently. `url_of` returns the superuser's URL of a database.
    """
    scratch = sql.Identifier(SCRATCH)
    with psycopg.connect(url_of(_ADMINISTRATION), connect_timeout=10, autocommit=True) as administration:
        administration.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        if not administration.execute("SELECT FROM pg_roles WHERE rolname = %s", [SCRATCH]).rowcount:
            administration.execute(sql.SQL("CREATE ROLE {} LOGIN").format(scratch))
        create_database_if_missing(administration, SCRATCH)
        administration.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(scratch))
        administration.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(scratch, scratch))


def set_password(url_of: Callable[[str], str], role: str, password: str) -> None:
    """Set a role's password, hashed here: the statement may be logged.

    Safe to run concurrently. `url_of` returns the superuser's URL of a database.
    """
    with psycopg.connect(url_of(_ADMINISTRATION), connect_timeout=10, autocommit=True) as administration:
        administration.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        hashed = administration.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), hashed.decode())
        administration.execute(statement)


def reader_statements(database: str, loader: str) -> str:
    """Return the SQL that creates a reader of the tables that a role owns in a database."""
    names = {DATABASE_NAME: database, LOADER: loader}
    lines = [
        line
        for line in ROLES_FILE.read_text(encoding="utf-8").splitlines()
        if re.match(rf"[A-Z].*\b{READER}\b", line)
    ]
    return "\n".join(
        re.sub("|".join(names), lambda found: sql.Identifier(names[found[0]]).as_string(), line)
        for line in lines
    )


def _statements_by_database() -> list[tuple[str, bytes]]:
    """Return the statements of `roles.sql` by database, in order."""
    first, *rest = re.split(r"^\\connect (\w+)$", ROLES_FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    texts = [first, *rest[1::2]]
    return list(zip([_ADMINISTRATION, *rest[::2]], [text.encode() for text in texts], strict=True))
