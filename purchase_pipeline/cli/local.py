"""Commands for the local stack and its state: `db-url`, `down`, `reset`."""

import shutil

import click
import psutil
import sqlalchemy as sa

from purchase_pipeline.cli.outcome import read_settings, succeeds
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import (
    database_url,
    is_embedded,
    reader_url,
    scratch_url,
    start_database,
    tcp_url,
)
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline.stack.lock import running_process
from purchase_pipeline.stack.processes import end, stop_leftovers
from purchase_pipeline.stack.roles import ROLES_FILE, reader_statements

_STOP_SECONDS = 90.0


@click.command("db-url")
@click.option("--reader", is_flag=True, help="URL of a role that can only read the tables.")
@click.option(
    "--tcp", is_flag=True, help="The same by host, port and password, for DBeaver, Metabase and others."
)
@click.option("--scratch", is_flag=True, help="URL of an empty database for experiments, owned by its role.")
@succeeds
def db_url(*, reader: bool, tcp: bool, scratch: bool) -> bool:
    """Print the URL of the database in use.

    Starts the embedded server if it is not running, and leaves it running until `down`, so that this always works:

    \b
    psql "$(purchase-pipeline db-url --reader)"

    Without an option, prints the URL used for loading: the embedded server's role `purchase_loader`, or DATABASE_URL
    if it is set. On your own server, --reader prints the SQL that creates a reader. The embedded server has a TCP port
    if PURCHASE_POSTGRES_PORT is set; --tcp prints the password, so do not paste it where others read it.
    """
    if (reader or tcp) and scratch:
        raise click.UsageError("--scratch cannot be combined with --reader or --tcp.")
    settings = read_settings()
    if is_embedded(settings):
        start_database(settings)
    click.echo(_url(settings, reader=reader, tcp=tcp, scratch=scratch))
    return True


def _url(settings: Settings, *, reader: bool, tcp: bool, scratch: bool) -> str:
    if tcp:
        return tcp_url(settings)
    return _scratch(settings) if scratch else _reader(settings) if reader else database_url(settings)


def _scratch(settings: Settings) -> str:
    if (url := scratch_url(settings)) is None:
        raise click.ClickException(
            "DATABASE_URL points to your own server, which has no scratch database. Create one with CREATE DATABASE "
            "scratch, or unset DATABASE_URL to use the embedded server's."
        )
    return url


def _reader(settings: Settings) -> str:
    if (url := reader_url(settings)) is None:
        raise click.ClickException(_reader_instructions(database_url(settings)))
    return url


def _reader_instructions(url: str) -> str:
    given = sa.make_url(url)
    statements = reader_statements(given.database or "", given.username or "")
    return (
        "DATABASE_URL points to your own server, which has no reader role. To create it, run this once in that "
        f"database as an administrator:\n\n{statements}\n\nThen set its password (psql: \\password purchase_reader). "
        f"All roles and their privileges: {ROLES_FILE}"
    )


@click.command()
@succeeds
def down() -> bool:
    """Stop all services; the data is kept.

    Stops a running `up` or `ingest`, processes left over from a killed one, and the embedded PostgreSQL.
    """
    _stop_all(read_settings())
    return True


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@succeeds
def reset(*, yes: bool) -> bool:
    """Stop all services and remove all local state.

    Removes landed files, the embedded database, Dagster's history and logs. Does not touch a database given by
    DATABASE_URL.
    """
    settings = read_settings()
    if not yes:
        click.confirm(
            f"Remove {settings.home}, including the embedded database and all landed files?", abort=True
        )
    _stop_all(settings)
    EmbeddedPostgres(settings.postgres_home).remove()
    shutil.rmtree(settings.home, ignore_errors=True)
    click.echo(f"Removed {settings.home}.")
    return True


def _stop_all(settings: Settings) -> None:
    stopped = []
    if settings.home.exists() and (pid := running_process(settings.home)) is not None:
        end([psutil.Process(pid)], _STOP_SECONDS)
        stopped.append(f"the run of process {pid}")
    stopped += stop_leftovers(settings.home)
    if EmbeddedPostgres(settings.postgres_home).stop():
        stopped.append("the embedded PostgreSQL")
    click.echo(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing is running.")
