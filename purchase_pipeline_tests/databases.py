"""Empty databases for tests: one is emptied after a test and used again, as creating one costs more than most tests.

It gets a new name each time, as engines and what they know of tables are cached by URL.
"""

from collections import deque
from contextlib import suppress
from typing import LiteralString
from uuid import uuid4

import psycopg
import sqlalchemy as sa
from psycopg import sql

_SCHEMAS = """
    SELECT nspname FROM pg_namespace
    WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
"""
_END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
# What dropping schemas leaves. A database that has any of it is dropped.
_IS_EMPTY = """
    SELECT NOT EXISTS (SELECT FROM pg_event_trigger)
       AND NOT EXISTS (SELECT FROM pg_default_acl)
       AND NOT EXISTS (SELECT FROM pg_largeobject_metadata)
       AND NOT EXISTS (SELECT FROM pg_publication)
       AND NOT EXISTS (SELECT FROM pg_foreign_data_wrapper)
       AND NOT EXISTS (SELECT FROM pg_extension WHERE extname <> 'plpgsql')
       AND NOT EXISTS (SELECT FROM pg_cast WHERE oid >= 16384)
       AND NOT EXISTS (SELECT FROM pg_language WHERE oid >= 16384)
       AND NOT EXISTS (
           SELECT FROM pg_db_role_setting WHERE setdatabase =
               (SELECT oid FROM pg_database WHERE datname = current_database()))
       AND (SELECT datacl IS NULL AND datconnlimit = -1 AND datdba = current_user::regrole
            FROM pg_database WHERE datname = current_database())
"""
_NEW_SCHEMA = """
    CREATE SCHEMA public AUTHORIZATION pg_database_owner;
    GRANT USAGE ON SCHEMA public TO PUBLIC;
    COMMENT ON SCHEMA public IS 'standard public schema'
"""


class Databases:
    """The databases of one server."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._server = psycopg.connect(server_url, autocommit=True)
        self._empty = deque[str]()

    def close(self) -> None:
        """Close the connection; the databases stay."""
        self._server.close()

    def url(self, name: str) -> str:
        """Return a database's URL."""
        return sa.make_url(self._server_url).set(database=name).render_as_string(hide_password=False)

    def take(self) -> str:
        """Return the name of an empty database; no test has seen the name before."""
        name = f"test_{uuid4().hex}"
        # Renaming waits 0.1 s if a session of the database is ending still: so the one that was emptied last must wait.
        if len(self._empty) > 1:
            self._execute("ALTER DATABASE {} RENAME TO {}", self._empty.popleft(), name)
        else:
            self._execute("CREATE DATABASE {}", name)
        return name

    def copy(self, template: str, name: str) -> None:
        """Make an empty database a copy of another."""
        self._server.execute(_END_SESSIONS, [template])
        self._execute("DROP DATABASE {} WITH (FORCE)", name)
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)

    def give_back(self, name: str) -> None:
        """Empty a database, or drop it if it cannot be emptied."""
        if self._emptied(name):
            self._empty.append(name)
        else:
            self._execute("DROP DATABASE {} WITH (FORCE)", name)

    def _emptied(self, name: str) -> bool:
        self._server.execute(_END_SESSIONS, [name])
        with suppress(psycopg.Error), psycopg.connect(self.url(name), client_encoding="utf8") as connection:
            for (schema,) in connection.execute(_SCHEMAS).fetchall():
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
            connection.execute(_NEW_SCHEMA)
            return connection.execute(_IS_EMPTY).fetchall() == [(True,)]
        return False

    def _execute(self, statement: LiteralString, *names: str) -> None:
        self._server.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
