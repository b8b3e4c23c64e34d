"""Verify batches one by one, and print the result."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.printable import few, printable, quantity
from purchase_pipeline.ingest.reconciliation import VerifiedPartition, Verifier
from purchase_pipeline.ops.lines import print_text
from purchase_pipeline.ops.summary import program
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.database import database_in_use, database_url


def verified_batches(
    feed: Feed, settings: Settings, key: str | None, progress: Console
) -> list[VerifiedPartition]:
    """Verify every batch in the database, or only one.

    Raises:
        DatabaseUnavailableError: a table is missing.
    """
    with database_in_use(settings), progress.status("Verifying ...") as status:
        landing = landing_at(feed.landing_location(settings))
        verifier = Verifier(engine_for(database_url(settings)), feed.tables, landing)
        found, keys = list[VerifiedPartition](), verifier.partitions()
        if key is not None and key not in keys:
            return [VerifiedPartition(key, 0, 0, ["not loaded"])]
        keys = keys if key is None else [key]
        for batch in verifier.verify_each(keys):
            found.append(batch)
            status.update(f"Verified {escape(printable(batch.key))}, {len(found)} of {len(keys)} ...")
    return found


def print_verified(batches: Sequence[VerifiedPartition], console: Console) -> None:
    """Print each difference, then the totals."""
    differing = [batch for batch in batches if batch.differences]
    for batch in differing:
        console.print(Text(f"✗ {printable(batch.key)}", "red"))
        for difference in batch.differences:
            print_text(console, difference, indent=2)
    if not batches:
        print_text(console, f"Nothing to verify: no batch is loaded. Load some first: {program()} up")
        return
    loaded, rejected = sum(batch.loaded for batch in batches), sum(batch.rejected for batch in batches)
    differ = quantity(len(differing), "batch") + (" differs" if len(differing) == 1 else " differ")
    whole = sum(batch.file_pruned_at is None for batch in batches)
    of_them = "" if whole == len(batches) else f", {whole:,} of them"
    verified = (
        f"{quantity(len(batches), 'batch')} verified{of_them} row by row "
        f"({loaded:,} loaded, {rejected:,} rejected): "
    )
    found = (differ, "red") if differing else ("no differences", "green")
    print_text(console, Text.assemble(verified, found, "."))
    for said in _pruned(batches):
        print_text(console, said)
    if differing:
        print_text(
            console,
            "To reload a batch, materialize it in the Dagster UI. If the contract has changed, or a row was edited by "
            "hand, run `purchase-pipeline replay`. If a batch was being loaded just now, run `verify` again.",
        )
    if reworded := sum(batch.reworded for batch in batches):
        have = "row has" if reworded == 1 else "rows have"
        print_text(
            console,
            f"{reworded:,} rejected {have} reasons worded by an earlier version of the program or contract. "
            f"To update them: {program()} replay",
        )


def _pruned(batches: Sequence[VerifiedPartition]) -> Iterator[str]:
    """Say what could not be compared, because a retention deleted it."""
    files = {batch.key: batch.file_pruned_at for batch in batches if batch.file_pruned_at}
    if files:
        yield (
            f"Landed files pruned, the last on {max(files.values()):%Y-%m-%d}, so compared by counts and digests only: "
            f"{few(list(files))}"
        )
    rejects = {batch.key: batch.rejects_pruned_at for batch in batches if batch.rejects_pruned_at}
    if rejects:
        yield (
            f"Rejected rows pruned, the last on {max(rejects.values()):%Y-%m-%d}, so counted by the ledger only: "
            f"{few(list(rejects))}"
        )
