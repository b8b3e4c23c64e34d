"""Commands that load lots: `up`, `ingest`, `replay`."""

from collections.abc import Callable
from ipaddress import ip_address
from math import isnan
from typing import ParamSpec

import click
from rich.console import Console

from purchase_pipeline.cli.outcome import newest_settings, settings_errors, succeeds
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ops.ingest import run_ingest
from purchase_pipeline.ops.replay import run_replay
from purchase_pipeline.ops.up import run_up
from purchase_pipeline.settings import Settings, new_settings
from purchase_pipeline.stack.lock import exclusive_use
from purchase_pipeline.stack.ports import LOOPBACK
from purchase_pipeline.stack.services import StackOptions

P = ParamSpec("P")

_PORT = click.IntRange(1, 65_535)


def _share(context: click.Context, option: click.Parameter, share: float) -> float:  # noqa: ARG001  (as click calls it)
    if isnan(share):  # it is in any range
        raise click.BadParameter(f"{share} is not in the range 0<=x<=1.")
    return share


def _load_options(command: Callable[P, None]) -> Callable[P, None]:
    for option in (
        click.option("--api-port", type=_PORT, default=8000, show_default=True, help="Port of the mock API."),
        click.option(
            "--defects",
            type=click.FloatRange(0, 1),
            callback=_share,
            default=0.0,
            show_default=True,
            help="Share of rows that the mock API breaks on purpose.",
        ),
        click.option("--rows", type=int, help="Rows in a lot.  [default: PURCHASE_ROWS, or 10000]"),
        click.option("--lots", type=int, help="Number of lots wanted.  [default: PURCHASE_LOTS, or 50]"),
    ):
        command = option(command)
    return command


def _settings(*, lots: int | None, rows: int | None, every: float | None = None) -> Settings:
    given = {"lots": lots, "rows": rows, "every": every}
    with settings_errors(*(name for name, value in given.items() if value is not None)):
        return new_settings(lots=lots, rows=rows, every=every)


def _require_two_ports(settings: Settings, options: StackOptions) -> None:
    if options.ui and options.port == options.api_port and not settings.is_given("api_url"):
        raise click.UsageError(f"--port and --api-port must differ: both are {options.port}.")


def _own_address(context: click.Context, option: click.Parameter, host: str) -> str:  # noqa: ARG001  (as click calls it)
    try:
        return str(ip_address(host))
    except ValueError as error:
        raise click.BadParameter(f"{host!r} is no IP address, such as {LOOPBACK} or ::1.") from error


@click.command()
@_load_options
@click.option("--every", type=float, help="Seconds between two lots.  [default: PURCHASE_EVERY, or 5]")
@click.option("--port", type=_PORT, default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option(
    "--host",
    callback=_own_address,
    default=LOOPBACK,
    show_default=True,
    help="IP address that Dagster UI and mock API listen on. Beyond loopback, whoever reaches it can run code here.",
)
@click.option("--no-ui", is_flag=True, help="Do without the Dagster UI.")
@click.option(
    "--exit-when-done", is_flag=True, help="Stop after the last lot: exit 0 if all are loaded, else 1."
)
@succeeds
def up(  # noqa: PLR0913  (one a documented option)
    *,
    lots: int,
    rows: int,
    every: float,
    defects: float,
    host: str,
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
    settings = _settings(lots=lots, rows=rows, every=every)

    landing_at(settings.landing_location)  # says now what it lacks, not lot by lot
    options = StackOptions(
        host=host, port=port, api_port=api_port, defects=_defects(settings, defects), ui=not no_ui
    )
    _require_two_ports(settings, options)
    with exclusive_use(settings.home):
        return run_up(settings, options, Console(), exit_when_done=exit_when_done)


@click.command()
@_load_options
@succeeds
def ingest(*, lots: int, rows: int, defects: float, api_port: int) -> bool:
    """Load every missing lot at once, without daemon or UI.

    The same Dagster job as under `up`, run in this process as fast as it goes; its runs show in the UI of a later
    `up`. Exit code 0 if all lots are loaded in the end, else 1.
    """
    settings = _settings(lots=lots, rows=rows)

    landing_at(settings.landing_location)
    options = StackOptions(ui=False, api_port=api_port, defects=_defects(settings, defects))
    with exclusive_use(settings.home):
        return run_ingest(settings, options, Console())


def _defects(settings: Settings, share: float) -> float:
    if share and settings.is_given("api_url"):
        raise click.UsageError("--defects is for the mock API, but PURCHASE_API_URL names another one.")
    return share


@click.command()
@click.option("--lote", help="One lot alone.  [default: every wanted lot that has landed]")
@click.option("--dry-run", is_flag=True, help="Only say which lots would be loaded anew.")
@succeeds
def replay(*, lote: str | None, dry_run: bool) -> bool:
    """Judge landed lots anew, after the contract has changed.

    Those of which a row is validated otherwise are loaded again: rows that now pass move from compras_rejeitadas to
    tabela_compras, those that no longer do move back; a lot at a time, in one transaction. The API is not asked: the
    landed files are. Exit code 0 if all went well; 1 if a lot failed, as with too many rejects, and then what was
    loaded before stays.
    """
    settings = newest_settings()
    lots = settings.lote_names
    if lote is not None and lote not in lots:
        raise click.UsageError(
            f"{lote!r} is none of the wanted lots, {lots[0]} to {lots[-1]} (PURCHASE_LOTS)."
        )
    return run_replay(settings, lots if lote is None else [lote], Console(), dry_run=dry_run)
