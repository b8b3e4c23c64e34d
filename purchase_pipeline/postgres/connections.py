"""Connections: one URL in any of its spellings, psycopg 3 as the driver, every name quoted, no wait without an end."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGIdentifierPreparer

_DEADLINES = {
    "connect_timeout": "10",
    # A server that vanished without a word is noticed within half a minute: by its silence, or by what it leaves
    # unacknowledged.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
}


_SETTINGS = {
    # So does the server notice a client that vanished: else its half-written slice stays locked for hours.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "30000",
    "lock_timeout": "10min",  # who waits longer for another writer fails, and says so, rather than hang
    "TimeZone": "UTC",  # else an instant of the first or last day has no year that Python knows
    "DateStyle": "ISO, MDY",  # psycopg reads no instant in another
    "IntervalStyle": "postgres",  # psycopg reads no other
    "extra_float_digits": "1",  # below, floats are rounded on their way out
    "standard_conforming_strings": "on",  # else a backslash in a quoted text means something
    "quote_all_identifiers": "off",  # SQLAlchemy reads no type whose name is quoted
}
_SET = sa.select(
    sa.func.pg_backend_pid(),
    *(sa.func.set_config(*setting, True) for setting in _SETTINGS.items()),  # noqa: FBT003  # for one transaction
)
_BACKEND = "purchase_pipeline_backend"  # in a connection's `info`: the server's process of its transaction
_PREPARED_AFTER = 5  # psycopg's own


class _QuotingPreparer(PGIdentifierPreparer):
    """Quotes every name: SQLAlchemy leaves bare what it holds for safe, and PostgreSQL has more words than it knows."""

    def quote(self, ident: str, force: object = None) -> str:  # noqa: ARG002
        return self.quote_identifier(ident)


def quote_all_names(dialect: sa.Dialect) -> sa.Dialect:
    """Make the dialect quote every name that it writes."""
    dialect.identifier_preparer = _QuotingPreparer(dialect)
    return dialect


def engine_for(database_url: str, *, keeps_connection: bool = False) -> sa.Engine:
    """Return an engine that opens a connection for each use, or one that keeps its last one open until it is disposed.

    A fresh connection knows no table yet: the first statements of each would cost as much as a thousand rows.
    What the URL says of deadlines goes before ours. What server, database or role say of how values are written does
    not: they read the same, whatever their settings are.

    Raises:
        sqlalchemy.exc.ArgumentError: a text that is no URL.
    """
    url = sa.make_url(database_url).set(drivername="postgresql+psycopg")
    url = url.update_query_dict({key: value for key, value in _DEADLINES.items() if key not in url.query})
    # Nothing is prepared, for a pooler may be between; `transaction` finds out whether there is one.
    # Texts travel as UTF-8 and PostgreSQL converts them to the database's encoding, or says which one it cannot.
    arguments = {"prepare_threshold": None, "client_encoding": "utf8"}
    if keeps_connection:
        engine = sa.create_engine(
            url, connect_args=arguments, pool_size=1, max_overflow=-1, pool_pre_ping=True
        )
    else:
        engine = sa.create_engine(url, connect_args=arguments, poolclass=sa.NullPool)
    quote_all_names(engine.dialect)
    sa.event.listen(engine, "begin", _settle)
    return engine


def _settle(connection: sa.Connection) -> None:
    """Begin a transaction with our settings: not as options of the connection, which poolers refuse."""
    connection.info[_BACKEND], *_ = connection.execute(_SET).one()


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction, in which statements that are repeated are prepared where that is safe."""
    with engine.begin() as connection:
        _prepare_if_direct(connection, connection.info[_BACKEND])
        yield connection


def _prepare_if_direct(connection: sa.Connection, backend: int) -> None:
    """Let psycopg prepare what is repeated on a connection of the server's own: a slice's write takes a quarter less.

    A pooler in transaction mode, such as PgBouncer, lends another server connection for each transaction, where a
    prepared statement is not to be found, or is somebody else's. It shows by a process that is not the server's.
    """
    driver = connection.connection.driver_connection
    if isinstance(driver, psycopg.Connection) and driver.info.backend_pid == backend:
        driver.prepare_threshold = _PREPARED_AFTER
