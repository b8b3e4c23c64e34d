"""Connections: engines for one URL in any spelling, on psycopg 3, with every name quoted and every wait bounded."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGIdentifierPreparer

from purchase_pipeline.postgres.urls import parsed_url

_DEADLINES = {
    "connect_timeout": "10",
    # Detects a server that vanished within half a minute, by its silence or by unacknowledged data.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
}


_SETTINGS = {
    # The same for the server: without these, a vanished client keeps its half-written slice locked for hours.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "30000",
    "lock_timeout": "10min",  # fail with an error rather than hang behind another writer
    "TimeZone": "UTC",  # in another zone, the first and last instants fall outside Python's years
    "DateStyle": "ISO, MDY",  # the only one in which psycopg parses timestamptz
    "IntervalStyle": "postgres",  # the only one that psycopg parses
    "extra_float_digits": "1",  # lower values round floats in output
    "standard_conforming_strings": "on",  # otherwise backslashes are escapes
    "quote_all_identifiers": "off",  # SQLAlchemy cannot reflect quoted type names
}
# A role or database may set limits that would end a load or a streaming read midway. A transaction here lasts as long
# as the code that produces or consumes the batches: COPY is one statement, and a cursor is idle between batches. A
# transaction_timeout of 15 minutes or more is taken as a deliberate bound for hung transactions and kept.
_LIFTED_BELOW = {
    "statement_timeout": timedelta(days=30),  # longer than any possible value
    "idle_in_transaction_session_timeout": timedelta(days=30),
    "transaction_timeout": timedelta(minutes=15),
}
_BACKEND = "purchase_pipeline_backend"  # in a connection's `info`: the backend PID of its transaction
_PREPARED_AFTER = 5  # psycopg's default


class _QuotingPreparer(PGIdentifierPreparer):
    """Quotes every name: SQLAlchemy leaves some bare that PostgreSQL reserves."""

    def quote(self, ident: str, force: object = None) -> str:  # noqa: ARG002
        return self.quote_identifier(ident)


def quote_all_names(dialect: sa.Dialect) -> sa.Dialect:
    """Make the dialect quote every name."""
    dialect.identifier_preparer = _QuotingPreparer(dialect)
    return dialect


def engine_for(database_url: str, *, keeps_connection: bool = False) -> sa.Engine:
    """Return an engine that connects for each use, or keeps its last connection until it is disposed of.

    Keeping it avoids reading the catalog again, which costs as much as writing a thousand rows. Timeouts in the URL
    take precedence over ours; the server's and the role's isolation, limits and output formats are overridden, so that
    values read the same and a load has the time it needs.

    Raises:
        UnusableUrlError: the text is not a PostgreSQL URL.
    """
    url, secrets = parsed_url(database_url)
    url = url.update_query_dict({key: value for key, value in _DEADLINES.items() if key not in url.query})
    # Statements are not prepared, because there may be a pooler; `transaction` detects that. SQLAlchemy's first queries
    # run outside a transaction, which a role's limits could end. Text is sent as UTF-8; PostgreSQL converts it to the
    # database's encoding, or reports the character that it cannot convert.
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
    """Turn autocommit off, and set READ COMMITTED: a statement sees what was committed while it waited for a lock."""
    driver.autocommit = False
    driver.isolation_level = psycopg.IsolationLevel.READ_COMMITTED


def _configure_transactions(engine: sa.Engine) -> None:
    """Apply our settings at the start of each transaction, and lift the role's limits.

    They are set per transaction, because poolers reject connection options. Limits named in the URL's own options stay.
    """
    settings = settings_query(engine)

    def begin(connection: sa.Connection) -> None:
        connection.info[_BACKEND], *_ = connection.exec_driver_sql(settings).one()

    sa.event.listen(engine, "begin", begin)


def settings_query(engine: sa.Engine) -> str:
    """Return the query that configures a transaction and returns the backend's PID."""
    return _settings_query(str(engine.url.query.get("options", "")))


@cache  # compiling it takes 2 ms, at the start of each run and each read
def _settings_query(own: str) -> str:
    query = sa.select(
        sa.func.pg_backend_pid(),
        *(sa.func.set_config(*setting, True) for setting in _SETTINGS.items()),  # noqa: FBT003  # for one transaction
        *(_without_limit(limit) for limit in _LIFTED_BELOW if limit not in own),
    )
    dialect = sa.URL.create("postgresql+psycopg").get_dialect()()
    return str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def _without_limit(limit: str) -> sa.ColumnElement[str]:
    """Return an expression that lifts a limit for this transaction if it is too short, else NULL.

    An unknown setting is left alone: PostgreSQL 16 has no `transaction_timeout`.
    """
    # A setting's text, such as 500ms, is also a valid interval.
    found = sa.cast(sa.func.current_setting(limit, True), sa.Interval)  # noqa: FBT003  # NULL where it is unknown
    return sa.case((found < _LIFTED_BELOW[limit], sa.func.set_config(limit, "0", True)))  # noqa: FBT003


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction. Repeated statements are prepared where that is safe."""
    with engine.begin() as connection:
        _prepare_if_direct(connection, connection.info[_BACKEND])
        yield connection


def _prepare_if_direct(connection: sa.Connection, backend: int) -> None:
    """Let psycopg prepare repeated statements on a direct connection: writing a slice takes a quarter less time.

    A pooler in transaction mode, such as PgBouncer, uses another server connection for each transaction, where a
    prepared statement is missing or is someone else's. It is detected by a backend PID that differs from the
    connection's.
    """
    driver = connection.connection.driver_connection
    if isinstance(driver, psycopg.Connection) and driver.info.backend_pid == backend:
        driver.prepare_threshold = _PREPARED_AFTER
