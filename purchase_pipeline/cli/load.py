"""Commands that load batches: `up`, `ingest`, `replay`."""

from collections.abc import Callable
from math import isnan
from typing import ParamSpec

import click
from rich.console import Console

from purchase_pipeline.cli.addresses import PORT, checked_address
from purchase_pipeline.cli.completion import batch_names
from purchase_pipeline.cli.outcome import chosen_module, read_settings, settings_errors, succeeds
from purchase_pipeline.settings import Settings, new_settings
from purchase_pipeline.stack.lock import exclusive_use
from purchase_pipeline.stack.ports import LOOPBACK

P = ParamSpec("P")


def _no_nan(context: click.Context, option: click.Parameter, ratio: float) -> float:  # noqa: ARG001  (click's signature)
    if isnan(ratio):  # FloatRange accepts it
        raise click.BadParameter(f"{ratio} is not in the range 0<=x<=1.")
    return ratio


def _load_options(command: Callable[P, None]) -> Callable[P, None]:
    for option in (
        click.option("--api-port", type=PORT, default=8000, show_default=True, help="Port of the mock API."),
        click.option(
            "--defects",
            type=click.FloatRange(0, 1),
            callback=_no_nan,
            default=0.0,
            show_default=True,
            help="Fraction of rows that the mock API makes invalid.",
        ),
        click.option("--rows", type=int, help="Rows in each batch.  [default: PURCHASE_ROWS, or 10000]"),
        click.option(
            "--lots", type=int, help="Number of batches (lotes) to load.  [default: PURCHASE_LOTS, or 50]"
        ),
    ):
        command = option(command)
    return command


def _settings(*, lots: int | None, rows: int | None, every: float | None = None) -> Settings:
    given = {"lots": lots, "rows": rows, "every": every}
    with settings_errors(*(name for name, value in given.items() if value is not None)):
        settings = new_settings(lots=lots, rows=rows, every=every)
    # With the API of another feed, no mock API is started.
    return settings if chosen_module() is None else settings.model_copy(update={"api_url": settings.api_url})


@click.command()
@_load_options
@click.option("--every", type=float, help="Seconds between two batches.  [default: PURCHASE_EVERY, or 5]")
@click.option("--port", type=PORT, default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option(
    "--host",
    callback=checked_address,
    default=LOOPBACK,
    show_default=True,
    help="IP address that the Dagster UI and the mock API listen on. Anyone who can reach it can run code here.",
)
@click.option("--no-ui", is_flag=True, help="Do not start the web UI.")
@click.option(
    "--exit-when-done", is_flag=True, help="Stop after the last batch. Exit code 0 if all are loaded, else 1."
)
@succeeds
def up(  # noqa: PLR0913  (one for each option)
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
    """Start the local stack and load every batch.

    \b
    purchase-pipeline up                            50 batches, one every 5 s
    purchase-pipeline up --lots 3 --defects 0.01    a short tour, with rejects
    purchase-pipeline up --exit-when-done           for scripts

    Starts an embedded PostgreSQL (unless DATABASE_URL is set), the mock API (unless PURCHASE_API_URL is set) and
    Dagster, whose sensor requests the next missing batch every few seconds. Ctrl-C stops what it started; the next `up`
    resumes where this one stopped.
    """
    from purchase_pipeline.ingest.landing.store import landing_at
    from purchase_pipeline.stack.database import database_starting

    settings = _settings(lots=lots, rows=rows, every=every)
    landing_at(settings.landing_location)  # fail now rather than once for each batch
    if not no_ui and port == api_port and not settings.is_given("api_url"):
        raise click.UsageError(f"--port and --api-port must differ: both are {port}.")
    defects = _defects(settings, defects)
    with exclusive_use(settings.home), database_starting(settings):
        from purchase_pipeline.cli.feed import chosen_feed
        from purchase_pipeline.ops.up import run_up
        from purchase_pipeline.stack.services import OWN_DEFINITIONS, StackOptions

        options = StackOptions(
            host=host,
            port=port,
            api_port=api_port,
            defects=defects,
            ui=not no_ui,
            module=chosen_module() or OWN_DEFINITIONS,
        )
        return run_up(chosen_feed, settings, options, Console(), exit_when_done=exit_when_done)


@click.command()
@_load_options
@succeeds
def ingest(*, lots: int, rows: int, defects: float, api_port: int) -> bool:
    """Load every missing batch now, without daemon or UI.

    \b
    purchase-pipeline ingest                        what is missing of 50
    purchase-pipeline ingest --lots 80              and 30 more

    Runs the same Dagster job as `up`, two runs at once and without pauses; a later `up` shows its runs in the UI. Exit
    code 0 if all batches are loaded, else 1.
    """
    from purchase_pipeline.ingest.landing.store import landing_at
    from purchase_pipeline.stack.database import database_starting

    settings = _settings(lots=lots, rows=rows)
    landing_at(settings.landing_location)
    defects = _defects(settings, defects)
    with exclusive_use(settings.home), database_starting(settings):
        from purchase_pipeline.cli.feed import chosen_feed
        from purchase_pipeline.ops.ingest import run_ingest
        from purchase_pipeline.stack.services import OWN_DEFINITIONS, StackOptions

        options = StackOptions(
            ui=False, api_port=api_port, defects=defects, module=chosen_module() or OWN_DEFINITIONS
        )
        return run_ingest(chosen_feed, settings, options, Console())


def _defects(settings: Settings, ratio: float) -> float:
    if ratio and settings.is_given("api_url"):
        raise click.UsageError(
            "--defects works only with the mock API, but PURCHASE_API_URL points to another API. Unset one of them."
        )
    return ratio


@click.command()
@click.option("--lote", shell_complete=batch_names, help="Only this batch.  [default: every landed batch]")
@click.option("--dry-run", is_flag=True, help="Only list the batches that would be reloaded.")
@succeeds
def replay(*, lote: str | None, dry_run: bool) -> bool:
    """Revalidate landed batches after the contract has changed.

    \b
    purchase-pipeline replay --dry-run              what would be reloaded
    purchase-pipeline replay --lote lote-0007       one batch

    Reloads each batch whose rows validate differently: rows that now pass move from the quarantine to
    the table, rows that no longer pass move back, one transaction for each batch. Reads the landed files, not the API.
    Exit code 0 if all went well; 1 if a batch failed (for example with too many rejects) and kept its old rows.
    """
    from purchase_pipeline.cli.feed import chosen_feed, require_partition
    from purchase_pipeline.ops.replay import run_replay

    settings = read_settings()
    feed = chosen_feed(settings)
    if lote is not None:
        require_partition(feed, lote)
    keys = None if lote is None else [lote]
    return run_replay(feed, settings, keys, Console(), dry_run=dry_run)
