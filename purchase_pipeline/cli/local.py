"""Commands about what runs and lies on this machine: `db-url`, `down`, `reset`."""

import shutil

import click
import psutil
import sqlalchemy as sa

from purchase_pipeline.cli.outcome import newest_settings, succeeds
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import (
    database_url,
    is_embedded,
    reader_url,
    scratch_url,
    start_database,
)
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline.stack.lock import running_process
from purchase_pipeline.stack.processes import end, stop_leftovers
from purchase_pipeline.stack.roles import ROLES_FILE, reader_statements

_STOP_SECONDS = 90.0


@click.command("db-url")
@click.option("--reader", is_flag=True, help="The URL of a role that can read the tables, and nothing else.")
@click.option(
    "--scratch", is_flag=True, help="The URL of an empty database to try things in, which its role owns."
)
@succeeds
def db_url(*, reader: bool, scratch: bool) -> bool:
    """Print the URL of the database in use.

    Starts the embedded server if it does not run, and keeps it running until `down`, so that this always works:

    \b
    psql "$(purchase-pipeline db-url --reader)"

    Without an option it is the URL that lots are loaded with: the embedded server's role `purchase_loader`, or
    DATABASE_URL as it was given. There a reader is yours to make, and --reader prints the SQL for it.
    """
    if reader and scratch:
        raise click.UsageError("--reader and --scratch are URLs of two databases: choose one.")
    settings = newest_settings()
    if is_embedded(settings):
        start_database(settings)
    click.echo(_scratch(settings) if scratch else _reader(settings) if reader else database_url(settings))
    return True


def _scratch(settings: Settings) -> str:
    if (url := scratch_url(settings)) is None:
        raise click.ClickException(
            "DATABASE_URL names a server of yours, where a scratch database is yours to make: CREATE DATABASE scratch. "
            "Unset DATABASE_URL for one in the embedded server."
        )
    return url


def _reader(settings: Settings) -> str:
    if (url := reader_url(settings)) is None:
        raise click.ClickException(_how_to_make_a_reader(database_url(settings)))
    return url


def _how_to_make_a_reader(url: str) -> str:
    given = sa.make_url(url)
    statements = reader_statements(given.database or "", given.username or "")
    return (
        "DATABASE_URL names a server of yours, where a reader is yours to make. As its administrator, once, in that "
        f"database:\n\n{statements}\n\nGive it a password (in psql: \\password purchase_reader). "
        f"All roles of this project, with all that each may do: {ROLES_FILE}"
    )


@click.command()
@succeeds
def down() -> bool:
    """Stop all services; the data is kept.

    That is an `up` or `ingest`, what a killed one left behind, and the embedded PostgreSQL.
    """
    _stop_everything(newest_settings())
    return True


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@succeeds
def reset(*, yes: bool) -> bool:
    """Stop all services and remove all local state.

    Landed lots, embedded database, Dagster's history, logs. A database given by DATABASE_URL is left as it is.
    """
    settings = newest_settings()
    if not yes:
        click.confirm(f"Remove {settings.home}, with the embedded database and all landed lots?", abort=True)
    _stop_everything(settings)
    EmbeddedPostgres(settings.postgres_home).remove()
    shutil.rmtree(settings.home, ignore_errors=True)
    click.echo(f"Removed {settings.home}.")
    return True


def _stop_everything(settings: Settings) -> None:
    stopped = []
    if settings.home.exists() and (pid := running_process(settings.home)) is not None:
        end([psutil.Process(pid)], _STOP_SECONDS)
        stopped.append(f"the campaign of process {pid}")
    stopped += stop_leftovers(settings.home)
    if EmbeddedPostgres(settings.postgres_home).stop():
        stopped.append("the embedded PostgreSQL")
    click.echo(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing of ours was running.")
