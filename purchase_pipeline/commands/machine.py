"""Commands about what runs and lies on this machine: `db-url`, `down`, `reset`."""

import shutil

import click
import psutil

from purchase_pipeline.campaign_lock import campaign_process
from purchase_pipeline.commands.outcome import newest_settings, succeeds
from purchase_pipeline.database import database_url, start_database
from purchase_pipeline.embedded_postgres import EmbeddedPostgres
from purchase_pipeline.processes import end, stop_leftovers
from purchase_pipeline.settings import Settings

_STOP_SECONDS = 90.0


@click.command("db-url")
@succeeds
def db_url() -> bool:
    """Print the URL of the database in use, and nothing else.

    Starts the embedded server if it does not run, so that this always works:

    \b
    psql "$(purchase-pipeline db-url)"
    """
    settings = newest_settings()
    if settings.database_url is None:
        start_database(settings)
    click.echo(database_url(settings))
    return True


@click.command()
@succeeds
def down() -> bool:
    """Stop everything of ours that runs; the data stays.

    That is an `up` or `ingest`, what a killed one left behind, and the embedded PostgreSQL.
    """
    _stop_everything(newest_settings())
    return True


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@succeeds
def reset(*, yes: bool) -> bool:
    """Stop everything and remove all local state.

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
    if settings.home.exists() and (pid := campaign_process(settings.home)) is not None:
        end([psutil.Process(pid)], _STOP_SECONDS)
        stopped.append(f"the campaign of process {pid}")
    stopped += stop_leftovers(settings.home)
    if EmbeddedPostgres(settings.postgres_home).stop():
        stopped.append("the embedded PostgreSQL")
    click.echo(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing of ours was running.")
