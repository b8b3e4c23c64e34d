"""Which database: the one given by `DATABASE_URL`, or an embedded server's; and which URL of it is for whom."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa

from purchase_pipeline.database_roles import (
    DAGSTER,
    LOADER,
    READER,
    create_database_if_missing,
    has_roles,
    make_roles,
)
from purchase_pipeline.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from purchase_pipeline.settings import DAGSTER_DATABASE_NAME, DATABASE_NAME, Settings, current_settings
from purchase_pipeline.storage_claim import claim_storage

_SECRETS = ("password", "sslpassword")  # libpq takes them in a URL's query too


class DatabaseUnavailableError(Exception):
    """The database does not answer, or lacks what the pipeline needs."""


def database_url(settings: Settings) -> str:
    """Return the URL in use, for psql and SQLAlchemy alike. Nothing is started."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return _embedded(settings).url(DATABASE_NAME, LOADER)


def is_embedded(settings: Settings) -> bool:
    """Tell whether the database is the embedded server's, be it by DATABASE_URL (set to what `db-url` printed)."""
    return database_url(settings) == _embedded(settings).url(DATABASE_NAME, LOADER)


def reader_url(settings: Settings) -> str | None:
    """Return the URL of the role that can only read; None for a database whose roles are not ours to make."""
    return _embedded(settings).url(DATABASE_NAME, READER) if is_embedded(settings) else None


def shown_database_url(settings: Settings) -> str:
    """Return the URL in use as anybody may see it."""
    return _shown(database_url(settings))


def dagster_storage_url(settings: Settings) -> str:
    """Return the URL of Dagster's own database, with the deadlines that the pipeline's own connections have.

    It is the embedded server's; or, beside a given database, that of DAGSTER_POSTGRES_URL, else the database `dagster`
    of the same server. It names psycopg2: with SQLAlchemy 2.1 a plain `postgresql://` means psycopg 3, on which
    dagster-postgres 0.29 fails at every event.
    """
    from purchase_pipeline.postgres.connections import engine_for  # noqa: PLC0415  (Dagster: 1 s that `db-url` need not pay)

    url = engine_for(_dagster_url(settings)).url.set(drivername="postgresql+psycopg2")
    return url.render_as_string(hide_password=False)


def ensure_database(url: str) -> None:
    """Start the embedded server if the URL is its own and it does not run; leave any other alone."""
    settings = current_settings()
    embedded = _embedded(settings)
    if url == embedded.url(DATABASE_NAME, LOADER) and not embedded.is_running():
        _start_embedded(embedded)


def start_database(settings: Settings) -> None:
    """Make both databases ready; start the embedded server for it, unless a database is given.

    Raises:
        DatabaseUnavailableError: a given database that cannot be reached, or may not have a `dagster` beside it.
        EmbeddedPostgresError: the embedded server does not start.
        ForeignStorageError: Dagster's database is somebody else's.
    """
    if is_embedded(settings):
        _start_embedded(_embedded(settings))
        return
    beside = settings.dagster_postgres_url is None
    also = f", and {DAGSTER_DATABASE_NAME!r} must exist beside it or the user be allowed to create it"
    with _connected(database_url(settings), "DATABASE_URL", also if beside else "") as connection:
        if beside:
            create_database_if_missing(connection, DAGSTER_DATABASE_NAME)
    storage = _dagster_url(settings)
    with _connected(storage, "DAGSTER_POSTGRES_URL, else DATABASE_URL") as connection:
        claim_storage(connection, _shown(storage))


def _embedded(settings: Settings) -> EmbeddedPostgres:
    return EmbeddedPostgres(settings.postgres_home)


def _dagster_url(settings: Settings) -> str:
    if is_embedded(settings):
        return _embedded(settings).url(DAGSTER_DATABASE_NAME, DAGSTER)
    if settings.dagster_postgres_url is not None:
        return settings.dagster_postgres_url.get_secret_value()
    url = sa.make_url(database_url(settings)).set(database=DAGSTER_DATABASE_NAME)
    return url.render_as_string(hide_password=False)


def _start_embedded(embedded: EmbeddedPostgres) -> None:
    """Start the server, and see to its roles: at each of its starts, and where they are missing (an older home)."""
    try:
        if embedded.start() or not has_roles(embedded.url):
            make_roles(embedded.url)
    except psycopg.Error as error:
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL runs, and its roles are not to be made: {error}"
        ) from error


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
            f"The database is not to be had through {_shown(url)}: {str(error).strip()}\n"
            f"Check {variable} (postgresql://user:password@host:port/database): the server must run, the database "
            f"must exist{also}."
        ) from error


def _libpq(url: str) -> str:
    """Return a URL without SQLAlchemy's driver in it."""
    return sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _shown(url: str) -> str:
    """Return a URL with `***` for what is secret in it, and as it stands where nothing is."""
    parsed = sa.make_url(url)
    secrets = {name: "***" for name in _SECRETS if name in parsed.query}
    if not (parsed.password or secrets):
        return url
    return parsed.update_query_dict(secrets).render_as_string(hide_password=True)
