"""Connections: one URL in any of its spellings, psycopg 3 as the driver, every name quoted, no wait without an end."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGIdentifierPreparer

from purchase_pipeline.postgres.urls import parsed_url

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
# A role or database may have limits that end a load midway, or the reading of a stream. Here a transaction takes as
# long as who hands over the batches, or takes them: a COPY is one statement, and a cursor is idle between two batches.
# One of 15 minutes or more for the whole transaction is somebody's bound for what hangs: it stays.
_LIFTED_BELOW = {
    "statement_timeout": timedelta(days=30),  # none can be longer
    "idle_in_transaction_session_timeout": timedelta(days=30),
    "transaction_timeout": timedelta(minutes=15),
}
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
    What the URL says of deadlines goes before ours; what server or role say of isolation, limits and forms does not:
    values read the same, and a load has the time that it needs, whatever their settings are.

    Raises:
        UnusableUrlError: a text that is no URL of PostgreSQL.
    """
    url, secrets = parsed_url(database_url)
    url = url.update_query_dict({key: value for key, value in _DEADLINES.items() if key not in url.query})
    # Nothing is prepared, for a pooler may be between; `transaction` finds out whether there is one. SQLAlchemy's first
    # look at the server is in no transaction, which a role's limits could end.
    # Texts travel as UTF-8 and PostgreSQL converts them to the database's encoding, or says which one it cannot.
    arguments = {"prepare_threshold": None, "autocommit": True, "client_encoding": "utf8", **secrets}
    pool: dict[str, Any] = {"poolclass": sa.NullPool}
    if keeps_connection:
        pool = {"pool_size": 1, "max_overflow": -1, "pool_pre_ping": True}
    engine = sa.create_engine(url, connect_args=arguments, **pool)
    quote_all_names(engine.dialect)
    sa.event.listen(engine, "connect", _make_transactional)
    _configure_transactions(engine)
    return engine


def _make_transactional(driver: psycopg.Connection, record: object) -> None:  # noqa: ARG001  (as SQLAlchemy calls it)
    """Leave autocommit. A statement sees what was committed while it waited for a lock, whatever the role's default."""
    driver.autocommit = False
    driver.isolation_level = psycopg.IsolationLevel.READ_COMMITTED


def _configure_transactions(engine: sa.Engine) -> None:
    """Begin each transaction of the engine with our settings, and without the role's limits.

    Not as options of the connection, which poolers refuse, but for one transaction each. A limit that the URL's own
    options name stays as they say.
    """
    settings = settings_query(engine)

    def begin(connection: sa.Connection) -> None:
        connection.info[_BACKEND], *_ = connection.exec_driver_sql(settings).one()

    sa.event.listen(engine, "begin", begin)


def settings_query(engine: sa.Engine) -> str:
    """Return the query that settles a transaction, and tells the server's process."""
    own = str(engine.url.query.get("options", ""))
    query = sa.select(
        sa.func.pg_backend_pid(),
        *(sa.func.set_config(*setting, True) for setting in _SETTINGS.items()),  # noqa: FBT003  # for one transaction
        *(_without_limit(limit) for limit in _LIFTED_BELOW if limit not in own),
    )
    return str(query.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True}))


def _without_limit(limit: str) -> sa.ColumnElement[str]:
    """Return what lifts a limit that is too small until the transaction ends, and NULL otherwise.

    An unknown one is left alone: PostgreSQL 16 has no `transaction_timeout`.
    """
    # The limit's own text, such as 500ms, is an interval's.
    found = sa.cast(sa.func.current_setting(limit, True), sa.Interval)  # noqa: FBT003  # NULL where it is unknown
    return sa.case((found < _LIFTED_BELOW[limit], sa.func.set_config(limit, "0", True)))  # noqa: FBT003


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
