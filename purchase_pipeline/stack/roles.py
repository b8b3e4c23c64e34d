"""Who may do what in the database server: the loader, the reader and Dagster, each with a database or a part of one.

And, in the embedded server, whoever tries things out, in a database that is theirs.

The grants are SQL, in `roles.sql`: a database administrator can run that file as it is, and the embedded
server is given the same.

What they protect from: SQL that a connection should never have been handed. Whoever can send statements as the loader
(a mistake, an injected value, a lent URL) reaches the purchases, and neither Dagster's history, nor another database,
nor the machine's files and programs. What they do not protect from: in the embedded server each role is trusted without
a password, on a socket in a folder that is closed to other users. Who runs programs as the folder's owner, a captured
run worker included, may connect as the superuser. Where that matters, take a server that asks for passwords.
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
SCRATCH = "scratch"  # a role, and the database that it owns
ROLES_FILE = files("purchase_pipeline.stack").joinpath("roles.sql")

_ADMINISTRATION = "postgres"  # the database that every server has
_LOCK = 7_035_612_001  # of nobody else in that database
_DOORS = """
    SELECT count(*) = 3 FROM (VALUES (%s, %s), (%s, %s), (%s, %s)) AS door (role, database)
    JOIN pg_roles ON rolname = role JOIN pg_database ON datname = database
    WHERE has_database_privilege(pg_roles.oid, pg_database.oid, 'CONNECT')
"""
_KEYS = (LOADER, DATABASE_NAME, READER, DATABASE_NAME, DAGSTER, DAGSTER_DATABASE_NAME)


def has_roles(url_of: Callable[[str], str]) -> bool:
    """Tell whether the three roles can reach their databases, which is the last thing that they are given.

    `url_of` gives the superuser's URL of a database.
    """
    with psycopg.connect(url_of(_ADMINISTRATION), connect_timeout=10) as connection:
        found = connection.execute(_DOORS, _KEYS).fetchone()
    return found is not None and bool(found[0])


def make_roles(url_of: Callable[[str], str]) -> None:
    """Make both databases and the three roles, and hand each what is its own, tables made before included.

    Safe to run again, and by two processes at once. `url_of` gives the superuser's URL of a database.
    """
    with psycopg.connect(url_of(_ADMINISTRATION), connect_timeout=10, autocommit=True) as administration:
        administration.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        for name in (DATABASE_NAME, DAGSTER_DATABASE_NAME):
            create_database_if_missing(administration, name)
        for database, statements in _parts():
            with psycopg.connect(url_of(database), connect_timeout=10) as connection:
                connection.execute(statements)


def create_database_if_missing(connection: psycopg.Connection, name: str) -> None:
    """Create a database, through a connection in autocommit to another one of its server."""
    if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount:
        with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):  # made just now
            connection.execute("SET default_transaction_read_only = off")  # as the role's may say
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def make_scratch(url_of: Callable[[str], str]) -> None:
    """Make a database in which its owner may do anything, schemas included, and which reaches no other.

    Safe to run again, and by two processes at once. `url_of` gives the superuser's URL of a database.
    """
    scratch = sql.Identifier(SCRATCH)
    with psycopg.connect(url_of(_ADMINISTRATION), connect_timeout=10, autocommit=True) as administration:
        administration.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        if not administration.execute("SELECT FROM pg_roles WHERE rolname = %s", [SCRATCH]).rowcount:
            administration.execute(sql.SQL("CREATE ROLE {} LOGIN").format(scratch))
        create_database_if_missing(administration, SCRATCH)
        administration.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(scratch))
        administration.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(scratch, scratch))


def reader_statements(database: str, loader: str) -> str:
    """Return the SQL that makes a reader of a database, of the tables that a role owns."""
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


def _parts() -> list[tuple[str, bytes]]:
    """Return the file's statements by the database to run them in, in order."""
    first, *rest = re.split(r"^\\connect (\w+)$", ROLES_FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    texts = [first, *rest[1::2]]
    return list(zip([_ADMINISTRATION, *rest[::2]], [text.encode() for text in texts], strict=True))
