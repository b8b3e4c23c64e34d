"""The `rejects` command."""

import sys

import click
from rich.console import Console

from purchase_pipeline.cli.feed import chosen_feed
from purchase_pipeline.cli.outcome import read_settings, succeeds
from purchase_pipeline.ingest.printable import printable_json
from purchase_pipeline.ingest.quarantine import Grouping, Quarantine, RejectGroup
from purchase_pipeline.ops.quarantine import print_groups, print_rows
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.stack.database import database_in_use, database_url

_DEFAULT_LIMIT = 20
_GROUPINGS: dict[str | None, Grouping] = {"reason": "reason", "field": "field", "lote": "partition"}


@click.command()
@click.option("--lote", help="Only this batch.  [default: all]")
@click.option(
    "--by",
    type=click.Choice(["reason", "field", "lote"]),
    help="Count rows by reason, field or batch instead of listing them.",
)
@click.option(
    "--limit", type=click.IntRange(1), help="Maximum number of rows.  [default: 20; with --json, all]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts, with each row's full text.")
@succeeds
def rejects(*, lote: str | None, by: str | None, limit: int | None, as_json: bool) -> bool:
    """Show rejected rows and their reasons.

    \b
    purchase-pipeline rejects --by reason           the most common reasons
    purchase-pipeline rejects --lote lote-0007      the rows of one batch
    purchase-pipeline rejects --json | jq           for scripts

    The rows are in the table compras_rejeitadas. After changing the contract, revalidate them with
    `purchase-pipeline replay`.
    """
    settings = read_settings()
    tables, grouping = chosen_feed(settings).tables, _GROUPINGS.get(by)
    with database_in_use(settings):
        quarantine = Quarantine(engine_for(database_url(settings)), tables)
        if as_json:
            found = (
                [_as_json(group) for group in quarantine.grouped(grouping, lote)]
                if grouping
                else quarantine.rows(lote, limit)
            )
            click.echo(printable_json(found, sys.stdout.encoding))
        elif grouping:
            print_groups(quarantine.grouped(grouping, lote), grouping, Console())
        else:
            found = quarantine.rows(lote, limit or _DEFAULT_LIMIT)
            print_rows(tables, found, quarantine.count(lote), Console())
    return True


def _as_json(group: RejectGroup) -> dict[str, object]:
    what, rows, batches, example = group
    return {"what": what, "rows": rows, "lots": batches, "example": example}
