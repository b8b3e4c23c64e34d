"""Status: batches loaded, in progress and failed; rows received, loaded and rejected, and whether they balance."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.ingest.ledger import totals
from purchase_pipeline.ingest.printable import few, printable
from purchase_pipeline.ops.lines import print_table, print_text
from purchase_pipeline.ops.pipeline import Pipeline
from purchase_pipeline.ops.summary import program
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.clock import seconds_ahead

_RECENT = timedelta(days=1)


class LotStatus(BaseModel):
    """Rows of one batch, counted in the tables."""

    lote: str
    received: int
    loaded: int
    rejected: int
    conserved: bool
    committed_at: AwareDatetime
    rejects_pruned_at: AwareDatetime | None = None


class Status(BaseModel):
    """Status of the target batches. `Ledger` decides what counts as loaded, as for `up` and `ingest`.

    `failed`: failed within the last day, not loaded and not in progress. `beyond_target`: loaded, but no longer part of
    the target. `clock_behind_seconds`: how long the sensor waits after the clock was set back, or 0.
    """

    wanted: int
    loaded: int
    beyond_target: list[str]
    failed: list[str]
    in_flight: list[str]
    rows_received: int
    rows_loaded: int
    rows_rejected: int
    conserved: bool
    clock_behind_seconds: float
    lots: list[LotStatus]


def read_status(feed: Feed, settings: Settings) -> Status:
    """Count the rows of each batch in the tables; read failed and in-progress batches from Dagster."""
    with Pipeline.open(feed, settings) as pipeline:
        backlog = pipeline.backlog
        counted, beyond_target = backlog.counted(), backlog.beyond_target()
        in_flight = backlog.in_progress()
        failed = (
            {
                backlog.partition_of(record.dagster_run)
                for record in backlog.failures(datetime.now(UTC) - _RECENT)
            }
            - counted.keys()
            - in_flight
        )
        clock_behind_seconds = seconds_ahead(pipeline.instance)
    rows = totals(counted.values())
    lots = [
        LotStatus(
            lote=one.key,
            received=one.received,
            loaded=one.loaded,
            rejected=one.rejected,
            conserved=one.balanced,
            committed_at=one.committed_at,
            rejects_pruned_at=one.rejects_pruned_at,
        )
        for one in counted.values()
    ]
    return Status(
        wanted=len(backlog.keys),
        loaded=len(lots),
        beyond_target=beyond_target,
        failed=sorted(failed),
        in_flight=sorted(in_flight),
        rows_received=rows.received,
        rows_loaded=rows.loaded,
        rows_rejected=rows.rejected,
        conserved=all(lot.conserved for lot in lots),
        clock_behind_seconds=clock_behind_seconds,
        lots=lots,
    )


def print_status(status: Status, console: Console) -> None:
    """Print a table with a row for each batch, then the totals."""
    if status.lots:
        print_table(console, _table(status.lots))
    print_text(console, _totals(status))
    for said in _remarks(status):
        print_text(console, said)


def _table(lots: list[LotStatus]) -> Table:
    table = Table("batch", box=None, pad_edge=False)
    table.columns[0].overflow = "fold"  # a longer key goes on in the next line, and nothing else is cut
    for name in ("received", "loaded", "rejected"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("balanced", "committed at (UTC)"):
        table.add_column(name, no_wrap=True)
    for lot in lots:
        table.add_row(
            Text(printable(lot.lote)),
            f"{lot.received:,}",
            f"{lot.loaded:,}",
            f"{lot.rejected:,}",
            "yes" if lot.conserved else "[red]NO[/]",
            f"{lot.committed_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        )
    return table


def _totals(status: Status) -> Text:
    batches = (
        f"{status.loaded} of {status.wanted} batches loaded, {len(status.in_flight)} in progress, "
        f"{len(status.failed)} failed."
    )
    if not status.lots:
        return Text(f"{batches} No rows yet. Load some first: {program()} up")
    rows = (
        f" Rows: {status.rows_received:,} received = {status.rows_loaded:,} loaded + "
        f"{status.rows_rejected:,} rejected: "
    )
    return Text.assemble(batches, rows, "balanced" if status.conserved else ("NOT BALANCED", "red"), ".")


def _remarks(status: Status) -> Iterator[str]:
    if status.beyond_target:
        yield f"Also loaded, beyond the target and not counted above: {few(status.beyond_target)}"
    if status.clock_behind_seconds:
        yield (
            f"The clock is {status.clock_behind_seconds:,.0f} s behind the sensor's last tick: no batch is "
            "requested until it catches up or `purchase-pipeline up` starts."
        )
    pruned = [lot.lote for lot in status.lots if lot.rejects_pruned_at]
    if pruned:
        yield f"Rejected rows pruned, so counted by the ledger: {few(pruned)}"
    if status.failed:
        yield "Failed within the last day and not loaded since: " + ", ".join(
            key or "the whole" for key in status.failed
        )
