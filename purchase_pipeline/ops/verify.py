"""Verify batches one by one, and print the result."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.printable import printable
from purchase_pipeline.ingest.reconciliation import VerifiedLot, Verifier
from purchase_pipeline.ops.console import print_line, quantity
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import database_in_use, database_url


def verified_lots(settings: Settings, lote: str | None, progress: Console) -> list[VerifiedLot]:
    """Verify every batch in the database, or only `lote`.

    Raises:
        DatabaseUnavailableError: a table is missing.
    """
    with database_in_use(settings), progress.status("Verifying ...") as status:
        verifier = Verifier(engine_for(database_url(settings)), landing_at(settings.landing_location))
        found, lots = [], verifier.lots() if lote is None else [lote]
        for number, name in enumerate(lots, start=1):
            status.update(f"Verifying {escape(printable(name))}, {number} of {len(lots)} ...")
            found.append(verifier.verify(name))
    return found


def print_verified(lots: Sequence[VerifiedLot], console: Console) -> None:
    """Print each difference, then the totals."""
    differing = [lot for lot in lots if lot.differences]
    for lot in differing:
        console.print(Text(f"✗ {printable(lot.lote)}", "red"))
        for difference in lot.differences:
            print_line(console, f"  {difference}")
    loaded, rejected = sum(lot.loaded for lot in lots), sum(lot.rejected for lot in lots)
    differ = quantity(len(differing), "batch") + (" differs" if len(differing) == 1 else " differ")
    console.print(
        f"{quantity(len(lots), 'batch')} verified row by row ({loaded:,} loaded, {rejected:,} rejected): "
        + (f"[red]{differ}[/]." if differing else "[green]no differences[/]."),
        highlight=False,
        soft_wrap=True,
    )
    if differing:
        console.print(
            "To reload a batch, materialize it in the Dagster UI. If the contract has changed, or a row was edited by "
            "hand, run `purchase-pipeline replay`. If a batch was being loaded just now, run `verify` again.",
            soft_wrap=True,
        )
