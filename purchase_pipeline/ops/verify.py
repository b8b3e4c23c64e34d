"""Every lot verified, one after the other, and what a person sees of it."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.printable import printable
from purchase_pipeline.ingest.reconciliation import VerifiedLot, Verifier
from purchase_pipeline.ops.console import print_line
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import database_in_use, database_url


def verified_lots(settings: Settings, lote: str | None, progress: Console) -> list[VerifiedLot]:
    """Verify the lots of the database, or one of them.

    Raises:
        DatabaseUnavailableError: somebody dropped a table.
    """
    with database_in_use(settings), progress.status("Verifying ...") as status:
        verifier = Verifier(engine_for(database_url(settings)), landing_at(settings.landing_location))
        found, lots = [], verifier.lots() if lote is None else [lote]
        for number, name in enumerate(lots, start=1):
            status.update(f"Verifying {escape(printable(name))}, {number} of {len(lots)} ...")
            found.append(verifier.verify(name))
    return found


def print_verified(lots: Sequence[VerifiedLot], console: Console) -> None:
    """Print each difference, and what was compared in all."""
    differing = [lot for lot in lots if lot.differences]
    for lot in differing:
        console.print(Text(f"✗ {printable(lot.lote)}", "red"))
        for difference in lot.differences:
            print_line(console, f"  {difference}")
    loaded, rejected = sum(lot.loaded for lot in lots), sum(lot.rejected for lot in lots)
    console.print(
        f"{len(lots)} lots held against their landed files and the ledger, row by row: {loaded:,} rows loaded, "
        f"{rejected:,} rejected; "
        + (f"[red]{len(differing)} lots differ[/]." if differing else "[green]no difference[/]."),
        highlight=False,
        soft_wrap=True,
    )
    if differing:
        console.print(
            "To load a lot again: materialize it in Dagster's UI; if the contract has changed since, or a row was "
            "changed by hand: `purchase-pipeline replay`. A lot that was being loaded just now is worth a second look.",
            soft_wrap=True,
        )
