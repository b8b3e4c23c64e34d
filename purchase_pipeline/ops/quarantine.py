"""The rejected rows that `rejects` shows, and its terminal output."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.feeds.table_assets import not_landed
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.printable import in_brief, printable, quantity
from purchase_pipeline.ingest.quarantine import Grouping, LandedRejects, RejectGroup
from purchase_pipeline.ingest.tables import FeedTables
from purchase_pipeline.ops.lines import print_table, print_text
from purchase_pipeline.settings import Settings


def landed_rejects(feed: Feed, settings: Settings, key: str) -> LandedRejects:
    """Validate a landed batch, whether it was loaded or not; the database is not needed.

    Raises:
        NotLandedError: the batch has no landed file.
    """
    landing = landing_at(feed.landing_location(settings))
    landed = landing.find(key)
    if landed is None:
        raise not_landed(feed, key, landing, "Load it first: `purchase-pipeline ingest`.")
    return LandedRejects(landed, landing, feed.tables)


def print_rows(tables: FeedTables, rows: Sequence[dict[str, Any]], count: int, console: Console) -> None:
    """Print rejected rows, each with its reasons and the start of its text, then the total."""
    for row in rows:
        console.print(
            Text(printable(f"{row[tables.partition]} {tables.row_number} {row[tables.row_number]}"), "bold")
        )
        for reason in row["reasons"]:
            print_text(console, in_brief(reason), indent=2)
        console.print(Text(f"  {printable(row['original'])}", "dim"), no_wrap=True, overflow="ellipsis")
    more = "" if count == len(rows) else f"; showing {len(rows)} (use --limit for more, --json for all)"
    console.print(f"{quantity(count, 'rejected row')}{more}.", highlight=False)


def print_groups(groups: Sequence[RejectGroup], by: Grouping, console: Console) -> None:
    """Print the groups as a table."""
    if not groups:
        console.print("0 rejected rows.", highlight=False)
        return
    table = Table("batch" if by == "partition" else by, "rows", "batches", "first example")
    for column in table.columns[1:3]:
        column.justify = "right"
    for group in groups:
        what, example = Text(in_brief(group.what)), Text(printable(group.example))
        table.add_row(what, f"{group.rows:,}", f"{group.partitions:,}", example)
    print_table(console, table)
