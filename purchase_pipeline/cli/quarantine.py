"""The `rejects` command."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console

from purchase_pipeline.cli.completion import batch_names
from purchase_pipeline.cli.outcome import read_settings, succeeds
from purchase_pipeline.ingest.printable import printable_json, quantity
from purchase_pipeline.ops.lines import print_text

if TYPE_CHECKING:
    from purchase_pipeline.feeds.feed import Feed
    from purchase_pipeline.ingest.quarantine import Grouping, RejectGroup, Rejects
    from purchase_pipeline.settings import Settings

_DEFAULT_LIMIT = 20
_GROUPINGS: "dict[str | None, Grouping]" = {"reason": "reason", "field": "field", "lote": "partition"}


@click.command()
@click.option("--lote", shell_complete=batch_names, help="Only this batch.  [default: all]")
@click.option(
    "--landed",
    metavar="LOTE",
    shell_complete=batch_names,
    help="Validate this landed batch again, loaded or not, and show its rows.",
)
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
def rejects(
    *, lote: str | None, landed: str | None, by: str | None, limit: int | None, as_json: bool
) -> bool:
    """Show rejected rows and their reasons.

    \b
    purchase-pipeline rejects --by reason           the most common reasons
    purchase-pipeline rejects --lote lote-0007      the rows of one batch
    purchase-pipeline rejects --landed lote-0013    of a batch that was not loaded
    purchase-pipeline rejects --json | jq           for scripts

    The rows are in the table compras_rejeitadas. After changing the contract, revalidate them with
    `purchase-pipeline replay`.
    """
    from purchase_pipeline.cli.feed import chosen_feed, require_partition
    from purchase_pipeline.ops.quarantine import landed_rejects
    from purchase_pipeline.ops.summary import program

    if lote is not None and landed is not None:
        raise click.UsageError("--lote is for loaded batches, --landed for landed ones: use one of them.")
    settings = read_settings()
    feed, grouping = chosen_feed(settings), _GROUPINGS.get(by)
    if landed is not None:
        if not feed.has_increments:  # whose landed loads are no partitions
            require_partition(feed, landed)
        _show(landed_rejects(feed, settings, landed), feed, grouping, limit, as_json=as_json)
        return True
    with _loaded_rejects(feed, settings, lote) as (found, is_loaded, pruned):
        if is_loaded or as_json:
            _show(found, feed, grouping, limit, as_json=as_json)
            if pruned and not as_json:
                rows, batches = quantity(sum(pruned.values()), "rejected row"), quantity(len(pruned), "batch")
                print_text(Console(), f"Also {rows} of {batches}, pruned since.")
        else:
            missing = "No batch is loaded" if lote is None else f"{lote} is not loaded"
            print_text(
                Console(), f"{missing}: there are no rejected rows to show. Load first: {program()} up"
            )
    return True


@contextmanager
def _loaded_rejects(
    feed: "Feed", settings: "Settings", lote: str | None
) -> "Iterator[tuple[Rejects, bool, Mapping[str, int]]]":
    """Open the quarantine of the feed or of one batch; with it whether anything is loaded, and how much was pruned."""
    from purchase_pipeline.cli.feed import require_partition
    from purchase_pipeline.ingest.ledger import Ledger
    from purchase_pipeline.ingest.quarantine import Quarantine
    from purchase_pipeline.postgres.connections import engine_for
    from purchase_pipeline.stack.database import database_in_use, database_url

    with database_in_use(settings):
        engine = engine_for(database_url(settings))
        quarantine = Quarantine(engine, feed.tables, lote)
        ledger, keys = Ledger(engine, feed.tables), None if lote is None else [lote]
        is_loaded = bool(quarantine.rows(limit=1) or ledger.loaded(keys))
        if lote is not None and not is_loaded:
            require_partition(feed, lote)
        yield quarantine, is_loaded, ledger.pruned_rejects(keys)


def _show(
    rejects: "Rejects", feed: "Feed", grouping: "Grouping | None", limit: int | None, *, as_json: bool
) -> None:
    from purchase_pipeline.ops.quarantine import print_groups, print_rows

    if as_json:
        found = [_as_json(group) for group in rejects.grouped(grouping)] if grouping else rejects.rows(limit)
        click.echo(printable_json(found, sys.stdout.encoding))
    elif grouping:
        print_groups(rejects.grouped(grouping), grouping, Console())
    else:
        print_rows(feed.tables, rejects.rows(limit or _DEFAULT_LIMIT), rejects.count(), Console())


def _as_json(group: "RejectGroup") -> dict[str, object]:
    what, rows, batches, example = group
    return {"what": what, "rows": rows, "lots": batches, "example": example}
