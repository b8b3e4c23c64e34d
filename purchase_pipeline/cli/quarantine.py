"""Commands about rows that broke the contract: `rejects`, `replay`."""

import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console

from purchase_pipeline.cli.outcome import newest_settings, succeeds
from purchase_pipeline.ingest.printable import printable_json

if TYPE_CHECKING:
    from purchase_pipeline.ingest.quarantine import Grouping

_SHOWN = 20


@click.command()
@click.option("--lote", help="One lot alone.  [default: all]")
@click.option(
    "--by",
    type=click.Choice(["reason", "field", "lote"]),
    help="Count by reason, field or lot, not row by row.",
)
@click.option("--limit", type=click.IntRange(1), help="Rows to show.  [default: 20; with --json all]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts: rows with their whole text.")
@succeeds
def rejects(*, lote: str | None, by: "Grouping | None", limit: int | None, as_json: bool) -> bool:
    """Show the rows that broke the contract, and why.

    \b
    purchase-pipeline rejects --by reason           what is wrong most often
    purchase-pipeline rejects --lote lote-0007      the rows of one lot
    purchase-pipeline rejects --json | jq           for scripts

    They are in the table compras_rejeitadas. After a change of the contract, `purchase-pipeline replay` judges them
    anew.
    """
    from purchase_pipeline.ingest.quarantine import Rejects, print_groups, print_rows  # noqa: PLC0415
    from purchase_pipeline.postgres.connections import engine_for  # noqa: PLC0415
    from purchase_pipeline.stack.database import database_in_use, database_url  # noqa: PLC0415

    settings = newest_settings()
    with database_in_use(settings):
        quarantine = Rejects(engine_for(database_url(settings)))
        if as_json:
            found = (
                [group._asdict() for group in quarantine.grouped(by, lote)]
                if by
                else quarantine.rows(lote, limit)
            )
            click.echo(printable_json(found, sys.stdout.encoding))
        elif by:
            print_groups(quarantine.grouped(by, lote), by, Console())
        else:
            print_rows(quarantine.rows(lote, limit or _SHOWN), quarantine.count(lote), Console())
    return True


@click.command()
@click.option("--lote", help="One lot alone.  [default: every wanted lot that has landed]")
@click.option("--dry-run", is_flag=True, help="Only say which lots would be loaded anew.")
@succeeds
def replay(*, lote: str | None, dry_run: bool) -> bool:
    """Judge landed lots anew, after the contract has changed.

    Those of which a row is judged otherwise are loaded again: rows that now pass move from compras_rejeitadas to
    tabela_compras, those that no longer do move back; a lot at a time, in one transaction. The API is not asked: the
    landed files are. Exit code 0 if all went well; 1 if a lot failed, as with too many rejects, and then what was
    loaded before stays.
    """
    from purchase_pipeline.ops.replay import run_replay  # noqa: PLC0415

    settings = newest_settings()
    lots = settings.lote_names
    if lote is not None and lote not in lots:
        raise click.UsageError(
            f"{lote!r} is none of the wanted lots, {lots[0]} to {lots[-1]} (PURCHASE_LOTS)."
        )
    return run_replay(settings, lots if lote is None else [lote], Console(), dry_run=dry_run)
