"""Revalidate landed batches after the contract has changed, and reload those that differ."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from rich.console import Console

from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.feeds.table_assets import not_landed
from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.ledger import LoadedPartition
from purchase_pipeline.ingest.printable import few, printable
from purchase_pipeline.ingest.reconciliation import Verifier
from purchase_pipeline.ops.failures import print_failure
from purchase_pipeline.ops.lines import print_text
from purchase_pipeline.ops.pipeline import Pipeline
from purchase_pipeline.ops.runs import StartRun, job_runs
from purchase_pipeline.settings import Settings


def run_replay(
    feed: Feed, settings: Settings, keys: Sequence[str] | None, console: Console, *, dry_run: bool
) -> bool:
    """Reload, from their landed files, the batches whose rows now validate differently; return whether all went well.

    The API is not called. Batches that have not landed are skipped; one that failed with too many rejects is retried.

    Raises:
        NotLandedError: the landed file of one of the given batches was pruned.
    """
    with Pipeline.open(feed, settings) as pipeline:
        with console.status("Validating landed batches against the current contract ..."):
            verifier = Verifier(pipeline.engine, feed.tables, pipeline.landing)
            known = pipeline.backlog.keys if keys is None else keys
            landed = list(filter(None, map(pipeline.landing.find, known)))
            changed = _validated_differently(verifier, landed)
        _report_pruned(pipeline, set(known) - {one.partition for one in landed}, keys, console)
        if not changed:
            console.print("All batches match the current contract; nothing to do.")
        elif dry_run:
            print_text(console, f"Would reload: {', '.join(changed)}")
        else:
            job = feed.definitions(settings).resolve_job_def(feed.job)
            with job_runs(pipeline, job, [table.name for table in feed.tables.both]) as run:
                return _replay(changed, run, pipeline.backlog, console)
    return True


def _report_pruned(
    pipeline: Pipeline, missing: Collection[str], keys: Sequence[str] | None, console: Console
) -> None:
    """Print which batches were pruned; refuse those that the user named."""
    pruned = sorted(key for key in missing if pipeline.landing.find_pruned(key))
    if pruned and keys is not None:
        raise not_landed(pipeline.feed, pruned[0], pipeline.landing, "")
    if pruned:
        print_text(
            console,
            f"Skipped, as their landed files were pruned: {few(pruned)}. To fetch a batch from the API again, "
            "materialize it in the Dagster UI.",
        )


def _validated_differently(verifier: Verifier, landed: Sequence[LandedPartition]) -> list[str]:
    loaded = set(verifier.partitions())
    return [
        one.partition
        for one in landed
        if one.partition not in loaded or not verifier.is_stored_as_validated(one)
    ]


def _replay(keys: Sequence[str], run: StartRun, backlog: Backlog, console: Console) -> bool:
    succeeded = True
    for key in keys:
        begun, before = datetime.now(UTC), backlog.loaded_partition(key)
        if run([key]).result():
            after = _shown(backlog.loaded_partition(key))
            console.print(f"[green]✓[/] {printable(key)}  {_shown(before)}, now {after}", highlight=False)
        for record in backlog.failures(begun):
            succeeded = False
            print_failure(console, backlog.explain(record.dagster_run), "the rows loaded before are kept")
    return succeeded


def _shown(batch: LoadedPartition | None) -> str:
    return "not loaded" if batch is None else f"{batch.loaded:,} loaded + {batch.rejected:,} rejected"
