"""The command line: `purchase-pipeline up`, `ingest`, `status`, `db-url`, `down`, `reset`."""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import NoReturn, ParamSpec

import click
import psutil
from pydantic import ValidationError
from rich.console import Console
from sqlalchemy.exc import OperationalError

from purchase_pipeline.campaign_lock import CampaignRunningError, campaign_process, only_campaign
from purchase_pipeline.database import DatabaseUnavailableError, database_url, start_database
from purchase_pipeline.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from purchase_pipeline.ports import PortTakenError
from purchase_pipeline.processes import ServiceFailedError, end, stop_leftovers
from purchase_pipeline.settings import Settings, current_settings, new_settings

P = ParamSpec("P")
_OUT = Console()
_STOP_SECONDS = 90.0


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="purchase-pipeline")
def main() -> None:
    """Purchases from an HTTP API into PostgreSQL, lot by lot, through Dagster.

    \b
    Start here:   purchase-pipeline up
    Then look:    psql "$(purchase-pipeline db-url)" -c 'select * from tabela_compras limit 5'

    Settings come from the environment, options go before them: DATABASE_URL (else an embedded PostgreSQL),
    PURCHASE_API_URL (else a mock API), PURCHASE_LOTS, PURCHASE_ROWS, PURCHASE_EVERY, PURCHASE_MAX_REJECTED_RATIO,
    PURCHASE_HOME (local state; .purchase beside the project).
    """


_EXPECTED = (
    CampaignRunningError,
    DatabaseUnavailableError,
    EmbeddedPostgresError,
    PortTakenError,
    ServiceFailedError,
)


def _campaign_options(command: Callable[P, None]) -> Callable[P, None]:
    for option in (
        click.option("--api-port", default=8000, show_default=True, help="Port of the mock API."),
        click.option(
            "--defects",
            type=click.FloatRange(0, 1),
            default=0.0,
            show_default=True,
            help="Share of rows that the mock API breaks on purpose.",
        ),
        click.option("--rows", type=int, help="Rows in a lot.  [default: PURCHASE_ROWS, or 10000]"),
        click.option("--lots", type=int, help="Number of lots wanted.  [default: PURCHASE_LOTS, or 50]"),
    ):
        command = option(command)
    return command


def _succeeds(command: Callable[P, bool]) -> Callable[P, None]:
    """Exit 0 when the command says yes and 1 when not, 130 or 143 when stopped; explain what goes wrong outside."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        signal.signal(signal.SIGINT, _stop)
        signal.signal(signal.SIGTERM, _stop)
        try:
            sys.exit(0 if command(*args, **kwargs) else 1)
        except _EXPECTED as error:
            raise click.ClickException(str(error)) from error
        except OperationalError as error:
            raise click.ClickException(f"The database does not answer any more: {error.orig}") from error

    return run


def _stop(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """Exit, with all that an exit stops. A second signal does not cut that short: it would leave processes behind."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _be_patient)  # not SIG_IGN, which a process that is started now would inherit
    sys.exit(128 + signum)


def _be_patient(signum: int, frame: FrameType | None) -> None:
    """Let the stop that is under way take its time."""


def _settings(*, lots: int | None, rows: int | None, every: float | None = None) -> Settings:
    with _bounds_explained():
        return new_settings(lots=lots, rows=rows, every=every)


def _newest_settings() -> Settings:
    with _bounds_explained():
        return current_settings()


@contextmanager
def _bounds_explained() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise click.UsageError("A setting is out of its bounds. " + "; ".join(lines)) from error


@main.command()
@_campaign_options
@click.option("--every", type=float, help="Seconds between two lots.  [default: PURCHASE_EVERY, or 5]")
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option("--no-ui", is_flag=True, help="Do without the Dagster UI.")
@click.option(
    "--exit-when-done", is_flag=True, help="Stop after the last lot: exit 0 if all are loaded, else 1."
)
@_succeeds
def up(  # noqa: PLR0913  (one a documented option)
    *,
    lots: int,
    rows: int,
    every: float,
    defects: float,
    port: int,
    api_port: int,
    no_ui: bool,
    exit_when_done: bool,
) -> bool:
    """Start everything that is not given, and load every lot.

    Starts an embedded PostgreSQL (without DATABASE_URL), the mock API (without PURCHASE_API_URL) and Dagster, whose
    sensor asks for the next missing lot every few seconds. Ctrl-C stops all that it started; a second `up` goes on
    where the first stood.
    """
    from purchase_pipeline.local_stack import StackOptions  # noqa: PLC0415  (Dagster: 1 s that `db-url` need not pay)
    from purchase_pipeline.up import run_up  # noqa: PLC0415

    settings = _settings(lots=lots, rows=rows, every=every)
    options = StackOptions(port=port, api_port=api_port, defects=_defects(settings, defects), ui=not no_ui)
    with only_campaign(settings.home):
        return run_up(settings, options, _OUT, exit_when_done=exit_when_done)


@main.command()
@_campaign_options
@_succeeds
def ingest(*, lots: int, rows: int, defects: float, api_port: int) -> bool:
    """Load every missing lot at once, without daemon or UI.

    The same Dagster job as under `up`, run in this process as fast as it goes; its runs show in the UI of a later
    `up`. Exit code 0 if all lots are loaded in the end, else 1.
    """
    from purchase_pipeline.ingest import run_ingest  # noqa: PLC0415
    from purchase_pipeline.local_stack import StackOptions  # noqa: PLC0415

    settings = _settings(lots=lots, rows=rows)
    options = StackOptions(ui=False, api_port=api_port, defects=_defects(settings, defects))
    with only_campaign(settings.home):
        return run_ingest(settings, options, _OUT)


def _defects(settings: Settings, share: float) -> float:
    if share and settings.is_given("api_url"):
        raise click.UsageError("--defects is for the mock API, but PURCHASE_API_URL names another one.")
    return share


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@_succeeds
def status(*, as_json: bool) -> bool:
    """Show what is loaded, rejected, failed and in flight.

    Rows are counted in the tables, lot by lot. Exit code 0 if received = loaded + rejected for every lot, else 1.
    """
    from purchase_pipeline.status import print_status, read_status  # noqa: PLC0415

    found = read_status(_newest_settings())
    if as_json:
        click.echo(found.model_dump_json(indent=2))
    else:
        print_status(found, _OUT)
    return found.conserved


@main.command("db-url")
@_succeeds
def db_url() -> bool:
    """Print the URL of the database in use, and nothing else.

    Starts the embedded server if it does not run, so that this always works:

    \b
    psql "$(purchase-pipeline db-url)"
    """
    settings = _newest_settings()
    if settings.database_url is None:
        start_database(settings)
    click.echo(database_url(settings))
    return True


@main.command()
@_succeeds
def down() -> bool:
    """Stop everything of ours that runs; the data stays.

    That is an `up` or `ingest`, what a killed one left behind, and the embedded PostgreSQL.
    """
    _stop_everything(_newest_settings())
    return True


@main.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@_succeeds
def reset(*, yes: bool) -> bool:
    """Stop everything and remove all local state.

    Landed lots, embedded database, Dagster's history, logs. A database given by DATABASE_URL is left as it is.
    """
    settings = _newest_settings()
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
