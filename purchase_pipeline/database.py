"""Which database: the one given by `DATABASE_URL`, or an embedded server's."""

from contextlib import suppress

import psycopg
import sqlalchemy as sa
from psycopg import sql

from purchase_pipeline.embedded_postgres import EmbeddedPostgres
from purchase_pipeline.settings import DATABASE_NAME, Settings, current_settings

DAGSTER_DATABASE_NAME = "dagster"


class DatabaseUnavailableError(Exception):
    """The database does not answer, or lacks what the pipeline needs."""


def database_url(settings: Settings) -> str:
    """Return the URL in use, for psql and SQLAlchemy alike. Nothing is started."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return EmbeddedPostgres(settings.postgres_home).url(DATABASE_NAME)


def shown_database_url(settings: Settings) -> str:
    """Return the URL in use as anybody may see it."""
    url = database_url(settings)
    masked = sa.make_url(url)
    return masked.render_as_string(hide_password=True) if masked.password else url


def dagster_storage_url(settings: Settings) -> str:
    """Return the URL of Dagster's own database, in the same server.

    It names psycopg2: with SQLAlchemy 2.1 a plain `postgresql://` means psycopg 3, on which dagster-postgres 0.29
    fails at every event.
    """
    url = sa.make_url(database_url(settings)).set(
        drivername="postgresql+psycopg2", database=DAGSTER_DATABASE_NAME
    )
    return url.render_as_string(hide_password=False)


def ensure_database(url: str) -> None:
    """Start the embedded server if the URL is its own and it does not run; leave any other alone."""
    settings = current_settings()
    embedded = EmbeddedPostgres(settings.postgres_home)
    if url == embedded.url(DATABASE_NAME) and not embedded.is_running():
        start_database(settings)


def start_database(settings: Settings) -> None:
    """Make both databases ready; start the embedded server for it, unless a database is given.

    Raises:
        DatabaseUnavailableError: a given database that cannot be reached, or may not have a `dagster` beside it.
        EmbeddedPostgresError: the embedded server does not start.
    """
    if settings.database_url is None:
        embedded = EmbeddedPostgres(settings.postgres_home)
        embedded.start()
        _create_missing(embedded.url("postgres"), DATABASE_NAME)
    _create_missing(database_url(settings), DAGSTER_DATABASE_NAME)


def _create_missing(server_url: str, name: str) -> None:
    shown = sa.make_url(server_url).render_as_string(hide_password=True)
    try:
        with psycopg.connect(_libpq(server_url), connect_timeout=10, autocommit=True) as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount
            if not found:
                with suppress(
                    psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation
                ):  # made just now
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise DatabaseUnavailableError(
            f"The database {name!r} is not to be had through {shown}: {str(error).strip()}\n"
            "Check DATABASE_URL (postgresql://user:password@host:port/database): the server must run, the database "
            f"must exist, and {DAGSTER_DATABASE_NAME!r} must exist beside it or the user be allowed to create it."
        ) from error


def _libpq(url: str) -> str:
    """Return a URL without SQLAlchemy's driver in it."""
    return sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
