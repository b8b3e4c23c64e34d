"""Which database: the one given by `DATABASE_URL`, or an embedded server's; and which URL of it is for whom."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo

from purchase_pipeline.errors import PipelineError
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME, Settings, current_settings
from purchase_pipeline.stack.database_requirements import faults_of
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresError
from purchase_pipeline.stack.libpq_environment import clear_libpq_environment
from purchase_pipeline.stack.roles import (
    DAGSTER,
    LOADER,
    READER,
    SCRATCH,
    create_database_if_missing,
    has_roles,
    make_roles,
    make_scratch,
)
from purchase_pipeline.stack.storage_claim import claim_storage

_FREE = (
    "-c default_transaction_read_only=off -c default_transaction_isolation=read\\ committed "
    "-c statement_timeout=15min -c idle_in_transaction_session_timeout=15min -c lock_timeout=10min"
)
_FREE_SINCE_17 = "-c transaction_timeout=15min -c idle_session_timeout=0"


class DatabaseUnavailableError(PipelineError):
    """The database does not answer, or lacks what the pipeline needs."""

    transient = True


def database_url(settings: Settings) -> str:
    """Return the URL in use, for psql and SQLAlchemy alike. Nothing is started."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return _embedded_url(settings)


def is_embedded(settings: Settings) -> bool:
    """Tell whether the database is the embedded server's, be it by DATABASE_URL (set to what `db-url` printed)."""
    return database_url(settings) == _embedded_url(settings)


def reader_url(settings: Settings) -> str | None:
    """Return the URL of the role that can only read; None for a database whose roles are not ours to make."""
    return _embedded(settings).url(DATABASE_NAME, READER) if is_embedded(settings) else None


def scratch_url(settings: Settings) -> str | None:
    """Return the URL of the embedded server's database to try things in, made if missing; None for a given database.

    The server must run.
    """
    if not is_embedded(settings):
        return None
    embedded = _embedded(settings)
    make_scratch(embedded.url)
    return embedded.url(SCRATCH, SCRATCH)


def shown_database_url(settings: Settings) -> str:
    """Return the URL in use as anybody may see it."""
    return _shown(database_url(settings))


def dagster_storage_url(settings: Settings) -> str:
    """Return the URL of Dagster's own database, with the deadlines that the pipeline's own connections have.

    It is the embedded server's; or, beside a given database, that of DAGSTER_POSTGRES_URL, else the database `dagster`
    of the same server. It names psycopg2: with SQLAlchemy 2.1 a plain `postgresql://` means psycopg 3, on which
    dagster-postgres 0.29 fails at every event.
    """
    url = _without_limits(engine_for(_dagster_url(settings)).url).set(drivername="postgresql+psycopg2")
    address, _, query = url.render_as_string(hide_password=False).partition("?")
    # It goes to libpq too, which reads no + as a blank.
    return f"{address.replace(' ', '%20')}?{query.replace('+', '%20')}"


def _without_limits(url: sa.URL) -> sa.URL:
    """Return the URL with options that free its sessions of the role's limits, where the server takes them.

    Dagster's storage opens its connections itself, and begins no transaction that could say so. PgBouncer refuses
    options, and a server that does not answer cannot be asked: there the role's own limits hold.
    """
    if "options" in url.query:
        return url
    for options in (f"{_FREE} {_FREE_SINCE_17}", _FREE):
        given = _libpq(url.render_as_string(hide_password=False))
        with suppress(psycopg.Error), psycopg.connect(given, options=options):
            return url.update_query_dict({"options": options})
    return url


@contextmanager
def database_in_use(settings: Settings) -> Iterator[None]:
    """Have both databases ready, and the embedded server running for as long as this lasts, if that is the one.

    Raises:
        DatabaseUnavailableError: a given database that cannot be reached, may not have a `dagster` beside it, or
            cannot hold the pipeline's tables.
        EmbeddedPostgresError: the embedded server does not start.
    """
    if is_embedded(settings):
        with _embedded_in_use(settings):
            yield
    else:
        _require_given(settings)
        yield


@contextmanager
def own_database_in_use(url: str) -> Iterator[None]:
    """Use the embedded server if the URL is its own; leave any other alone."""
    settings = current_settings()
    with _embedded_in_use(settings) if url == _embedded_url(settings) else nullcontext():
        yield


def start_database(settings: Settings) -> None:
    """Make both databases ready, and the embedded server, if that is the one, stay until `down`.

    Raises:
        DatabaseUnavailableError: a given database that cannot be reached, or may not have a `dagster` beside it.
        EmbeddedPostgresError: the embedded server does not start.
        ForeignStorageError: Dagster's database is somebody else's.
    """
    if is_embedded(settings):
        clear_libpq_environment()
        embedded = _embedded(settings)
        _make_roles_if_missing(embedded, started=embedded.start())
        return
    _require_given(settings)


def _embedded(settings: Settings) -> EmbeddedPostgres:
    return EmbeddedPostgres(settings.postgres_home)


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
def _embedded_in_use(settings: Settings) -> Iterator[None]:
    clear_libpq_environment()
    embedded = _embedded(settings)
    with embedded.in_use() as started:
        _make_roles_if_missing(embedded, started=started)
        yield


def _make_roles_if_missing(embedded: EmbeddedPostgres, *, started: bool) -> None:
    """See to the server's roles: at each of its starts, and where they are missing (an older home)."""
    try:
        if started or not has_roles(embedded.url):
            make_roles(embedded.url)
    except psycopg.Error as error:
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL runs, but its roles cannot be created: {error}"
        ) from error


def _require_given(settings: Settings) -> None:
    """Make sure that both databases answer and are fit to be used, the second one created if it may be."""
    given, storage = database_url(settings), _dagster_url(settings)
    beside = settings.dagster_postgres_url is None
    also = f", and {DAGSTER_DATABASE_NAME!r} must exist beside it or the user be allowed to create it"
    with _connected(given, "DATABASE_URL", also if beside else "") as connection:
        if beside:
            create_database_if_missing(connection, DAGSTER_DATABASE_NAME)
        if faults := faults_of(connection):
            raise DatabaseUnavailableError(
                f"The database {_shown(given)} cannot hold the pipeline's tables: {'; '.join(faults)}."
            )
    with _connected(storage, "DAGSTER_POSTGRES_URL, else DATABASE_URL") as connection:
        claim_storage(connection, _shown(storage))


@contextmanager
def _connected(url: str, variable: str, also: str = "") -> Iterator["psycopg.Connection[Any]"]:
    """Connect to a given database; `also` says what else its variable asks for.

    Raises:
        DatabaseUnavailableError: it does not answer, or refuses what it is asked.
    """
    try:
        with psycopg.connect(_libpq(url), connect_timeout=10, autocommit=True) as connection:
            yield connection
    except psycopg.Error as error:
        raise DatabaseUnavailableError(
            f"The database cannot be reached through {_shown(url)}: {str(error).strip()}\n"
            f"Check {variable} (postgresql://user:password@host:port/database): the server must run, the database "
            f"must exist{also}."
        ) from error


def _libpq(url: str) -> str:
    """Return what a URL says as libpq's own words: libpq refuses, and prints, a URL that has a blank in a password."""
    parsed = sa.make_url(url).set(drivername="postgresql+psycopg")
    _, words = parsed.get_dialect()().create_connect_args(parsed)
    return make_conninfo("", **words)


def _shown(url: str) -> str:
    """Return a URL with `***` for what is secret in it, and as it stands where nothing is."""
    parsed = sa.make_url(url)
    # libpq marks its secrets; what it does not know may be one's name, misspelt.
    plain = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults() if not option.dispchar}
    secrets = {name: "***" for name in parsed.query if name not in plain}
    if not (parsed.password or secrets):
        return url
    return parsed.update_query_dict(secrets).render_as_string(hide_password=True)
