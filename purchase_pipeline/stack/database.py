"""The database in use, from `DATABASE_URL` or the embedded server, and its URLs by role."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any
from urllib.parse import quote

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo

from purchase_pipeline import PipelineError
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME, Settings, current_settings
from purchase_pipeline.stack.database_requirements import find_problems
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresError
from purchase_pipeline.stack.embedded_postgres.tcp import TcpAccess
from purchase_pipeline.stack.libpq_environment import clear_libpq_environment
from purchase_pipeline.stack.ports import LOOPBACK
from purchase_pipeline.stack.roles import (
    DAGSTER,
    LOADER,
    READER,
    SCRATCH,
    create_database_if_missing,
    has_roles,
    make_roles,
    make_scratch,
    set_password,
)
from purchase_pipeline.stack.storage_claim import claim_storage

_TCP_SETTING = "PURCHASE_POSTGRES_PORT"
_NO_LIMITS = (
    "-c default_transaction_read_only=off -c default_transaction_isolation=read\\ committed "
    "-c statement_timeout=15min -c idle_in_transaction_session_timeout=15min -c lock_timeout=10min"
)
_NO_LIMITS_SINCE_17 = "-c transaction_timeout=15min -c idle_session_timeout=0"
_WITH_ROLES = set[str]()
"""URLs of databases whose roles this process has looked for."""


class PortClosedError(PipelineError):
    """The database cannot be reached by TCP."""


class DatabaseUnavailableError(PipelineError):
    """The database is unreachable, or does not meet the pipeline's requirements."""

    transient = True


def database_url(settings: Settings) -> str:
    """Return the database URL, for psql and SQLAlchemy. Starts nothing."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return _embedded_url(settings)


def is_embedded(settings: Settings) -> bool:
    """Return whether the embedded server is used, also if DATABASE_URL is set to its URL."""
    return database_url(settings) == _embedded_url(settings)


def reader_url(settings: Settings) -> str | None:
    """Return the URL of the read-only role; None for an external database."""
    return _embedded(settings).url(DATABASE_NAME, READER) if is_embedded(settings) else None


def shown_tcp_url(settings: Settings) -> str | None:
    """Return the URL of the read-only role by TCP, without its password; None if no port is open."""
    port = _embedded(settings).tcp_port if is_embedded(settings) else None
    return None if port is None else f"postgresql://{READER}@{LOOPBACK}:{port}/{DATABASE_NAME}"


def tcp_url(settings: Settings) -> str:
    """Return the URL of the read-only role by TCP, with its password. The server must be running.

    Raises:
        PortClosedError: the running server has no such port.
    """
    shown, embedded = shown_tcp_url(settings), _embedded(settings)
    if shown is None or settings.postgres_port not in {None, embedded.tcp_port}:
        raise PortClosedError(_why_closed(settings))
    _set_reader_password(embedded)
    return shown.replace("@", f":{quote(embedded.tcp_password(), safe='')}@", 1)


def _why_closed(settings: Settings) -> str:
    if not is_embedded(settings):
        return "DATABASE_URL points to your own server: connect to its own host and port."
    if settings.postgres_port is None:
        return (
            "The embedded PostgreSQL has no TCP port. To open one on this machine, set "
            f"{_TCP_SETTING}=5433 and run this again."
        )
    return (
        f"The embedded PostgreSQL is in use and was started without port {settings.postgres_port}. Stop what uses it "
        f"(`purchase-pipeline down`), then start again with {_TCP_SETTING}={settings.postgres_port}."
    )


def scratch_url(settings: Settings) -> str | None:
    """Return the URL of the embedded server's scratch database, created if missing; None for an external database.

    The server must be running.
    """
    if not is_embedded(settings):
        return None
    embedded = _embedded(settings)
    make_scratch(embedded.url)
    return embedded.url(SCRATCH, SCRATCH)


def shown_database_url(settings: Settings) -> str:
    """Return the database URL with secrets masked."""
    return _shown(database_url(settings))


def dagster_storage_url(settings: Settings) -> str:
    """Return the URL of Dagster's storage, with the timeouts of the pipeline's own connections.

    It is in the embedded server; or, with an external database, at DAGSTER_POSTGRES_URL, by default the database
    `dagster` of the same server. The driver is psycopg2: with SQLAlchemy 2.1 a plain `postgresql://` means psycopg 3,
    on which dagster-postgres 0.29 fails at every event.
    """
    url = _without_limits(engine_for(_dagster_url(settings)).url).set(drivername="postgresql+psycopg2")
    address, _, query = url.render_as_string(hide_password=False).partition("?")
    # libpq does not decode + as a space.
    return f"{address.replace(' ', '%20')}?{query.replace('+', '%20')}"


def _without_limits(url: sa.URL) -> sa.URL:
    """Return the URL with options that override the role's limits, if the server accepts them.

    Dagster's storage opens its own connections, so the options have to be in the URL. PgBouncer refuses options, and
    an unreachable server cannot be probed; then the role's limits apply.
    """
    if "options" in url.query:
        return url
    for options in (f"{_NO_LIMITS} {_NO_LIMITS_SINCE_17}", _NO_LIMITS):
        conninfo = _libpq(url.render_as_string(hide_password=False))
        with suppress(psycopg.Error), psycopg.connect(conninfo, options=options):
            return url.update_query_dict({"options": options})
    return url


def whole_database_urls(settings: Settings) -> tuple[str, str]:
    """Return the URLs of the data and of Dagster's storage, for a role that may dump and restore all of each."""
    if is_embedded(settings):
        embedded = _embedded(settings)
        return embedded.url(DATABASE_NAME), embedded.url(DAGSTER_DATABASE_NAME)
    return database_url(settings), _dagster_url(settings)


def make_roles_again(settings: Settings) -> None:
    """Give the embedded server's roles their tables and privileges, after a restore. The server must be running."""
    if is_embedded(settings):
        make_roles(_embedded(settings).url)


@contextmanager
def database_in_use(settings: Settings) -> Iterator[None]:
    """Prepare both databases, and keep the embedded server, if used, running within the block.

    Raises:
        DatabaseUnavailableError: an external database is unreachable, lacks a `dagster` database that cannot be
            created, or cannot hold the pipeline's tables.
        EmbeddedPostgresError: the embedded server does not start.
    """
    if is_embedded(settings):
        with _embedded_in_use(settings):
            yield
    else:
        _require_given(settings)
        yield


@contextmanager
def database_starting(settings: Settings) -> Iterator[None]:
    """Start the embedded server, if used, while the block imports what will use it: creating one takes 1.5 s.

    An error is left to `database_in_use`, which the block must enter before it uses the database.
    """
    over = Event()

    def keep() -> None:
        with suppress(PipelineError, OSError), database_in_use(settings):
            over.wait()

    starting = Thread(target=keep) if is_embedded(settings) else None
    try:
        if starting:
            starting.start()
        yield
    finally:
        over.set()
        if starting:
            starting.join()


def require_database(settings: Settings) -> None:
    """Check that the database is there, without starting the embedded server or keeping it running.

    Raises:
        DatabaseUnavailableError: it is not, or an external database cannot hold the pipeline's tables.
    """
    if not is_embedded(settings):
        _require_given(settings)
    elif not _embedded(settings).is_running():
        raise DatabaseUnavailableError(
            "The embedded PostgreSQL is not running.", hint="Start it with `purchase-pipeline up`."
        )


@contextmanager
def own_database_in_use(url: str) -> Iterator[None]:
    """Keep the embedded server running within the block if the URL is its own; look for its roles once in a process."""
    settings = current_settings()
    if settings.home.exists():  # with a landed partition
        settings.make_home()
    if url != _embedded_url(settings):
        yield
        return
    with _embedded_in_use(settings, knows_roles=url in _WITH_ROLES):
        _WITH_ROLES.add(url)
        yield


def start_database(settings: Settings) -> None:
    """Prepare both databases; the embedded server, if used, keeps running until `down`.

    Raises:
        DatabaseUnavailableError: an external database is unreachable, or lacks a `dagster` that cannot be created.
        EmbeddedPostgresError: the embedded server does not start.
        ForeignStorageError: Dagster's database belongs to another deployment.
    """
    if is_embedded(settings):
        clear_libpq_environment()
        settings.make_home()
        embedded = _embedded(settings)
        _make_roles_if_missing(embedded, started=embedded.start())
        return
    _require_given(settings)


def _embedded(settings: Settings) -> EmbeddedPostgres:
    port = settings.postgres_port
    access = None if port is None else TcpAccess(port, DATABASE_NAME, READER, _TCP_SETTING)
    return EmbeddedPostgres(settings.postgres_home, access)


def _embedded_url(settings: Settings) -> str:
    return _embedded(settings).url(DATABASE_NAME, LOADER)


def _dagster_url(settings: Settings) -> str:
    if is_embedded(settings):
        return _embedded(settings).url(DAGSTER_DATABASE_NAME, DAGSTER)
    if settings.dagster_postgres_url is not None:
        return settings.dagster_postgres_url.get_secret_value()
    url = sa.make_url(database_url(settings)).set(database=DAGSTER_DATABASE_NAME)
    return url.render_as_string(hide_password=False)


@contextmanager
def _embedded_in_use(settings: Settings, *, knows_roles: bool = False) -> Iterator[None]:
    clear_libpq_environment()
    settings.make_home()
    embedded = _embedded(settings)
    with embedded.in_use() as started:
        if started or not knows_roles:
            _make_roles_if_missing(embedded, started=started)
        yield


def _make_roles_if_missing(embedded: EmbeddedPostgres, *, started: bool) -> None:
    """Create the server's roles after a start, or if missing (a home of an older version)."""
    try:
        if started or not has_roles(embedded.url):
            make_roles(embedded.url)
        if started and embedded.tcp_port is not None:
            _set_reader_password(embedded)
    except psycopg.Error as error:
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL is running, but creating its roles failed: {error}"
        ) from error


def _set_reader_password(embedded: EmbeddedPostgres) -> None:
    set_password(embedded.url, READER, embedded.tcp_password())


def _require_given(settings: Settings) -> None:
    """Check both external databases; create Dagster's if missing and permitted."""
    given, storage = database_url(settings), _dagster_url(settings)
    shares_server = settings.dagster_postgres_url is None
    also = f", and {DAGSTER_DATABASE_NAME!r} on the same server, or the user needs CREATEDB"
    with _connected(given, "DATABASE_URL", also if shares_server else "") as connection:
        if shares_server:
            create_database_if_missing(connection, DAGSTER_DATABASE_NAME)
        if problems := find_problems(connection):
            raise DatabaseUnavailableError(
                f"The database {_shown(given)} cannot hold the pipeline's tables: {'; '.join(problems)}.",
                transient=False,
            )
    with _connected(storage, "DAGSTER_POSTGRES_URL, else DATABASE_URL") as connection:
        claim_storage(connection, _shown(storage))


@contextmanager
def _connected(url: str, variable: str, also: str = "") -> Iterator["psycopg.Connection[Any]"]:
    """Connect to an external database; `also` completes the hint.

    Raises:
        DatabaseUnavailableError: connecting, or a statement within the block, failed.
    """
    try:
        with psycopg.connect(_libpq(url), connect_timeout=10, autocommit=True) as connection:
            yield connection
    except psycopg.Error as error:
        raise DatabaseUnavailableError(
            f"Cannot connect to {_shown(url)}: {str(error).strip()}.",
            hint=f"Check {variable} (postgresql://user:password@host:port/database): the server must be running, the "
            f"database must exist{also}.",
        ) from error


def _libpq(url: str) -> str:
    """Convert a URL to a libpq conninfo: libpq refuses, and prints, a URL with a space in its password."""
    parsed = sa.make_url(url).set(drivername="postgresql+psycopg")
    _, parameters = parsed.get_dialect()().create_connect_args(parsed)
    return make_conninfo("", **parameters)


def _shown(url: str) -> str:
    """Return a URL with its secrets masked as `***`."""
    parsed = sa.make_url(url)
    # libpq marks its secret options; an unknown one may be a misspelt secret.
    plain = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults() if not option.dispchar}
    secrets = {name: "***" for name in parsed.query if name not in plain}
    if not (parsed.password or secrets):
        return url
    return parsed.update_query_dict(secrets).render_as_string(hide_password=True)
