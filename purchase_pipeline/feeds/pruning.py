"""Pruning of a feed: its landed files, its quarantine, and Dagster's history, each by its retention."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import NamedTuple

import dagster as dg

from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.ingest.retention import Retention, prune_landing, prune_quarantine
from purchase_pipeline.postgres.failures import expected_failures
from purchase_pipeline.stack.dagster_history import Owns, of_code_location, prune_runs

_MOST_SECONDS = 600.0  # of the 15 minutes that a run may take
_DESCRIPTION = """\
Delete what is older than its retention: landed files and rejected rows of loaded partitions, and finished runs of this
code location that the asset catalog does not show. Tables, ledger and newest materializations are kept.
"""


class Freed(NamedTuple):
    """What has been deleted, or would be."""

    files: int = 0
    file_bytes: int = 0
    partitions_of_rejects: int = 0
    rejected_rows: int = 0
    runs: int = 0
    logs: int = 0


class Pruning:
    """Deletes what is older than a feed's retention; what is interrupted is continued by the next one."""

    def __init__(
        self, feed: FeedDeclaration, retention: Retention, run_days: int | None, *, dry_run: bool = False
    ) -> None:
        self._feed, self._retention, self._run_days = feed, retention, run_days
        self._dry_run = dry_run

    def freed(
        self,
        ledger: Ledger,
        landing: Landing,
        instance: dg.DagsterInstance,
        now: datetime,
        owns: Owns = lambda _: True,
    ) -> Iterator[Freed]:
        """Yield how much has been freed, after each deletion."""
        freed, dry_run, retention = Freed(), self._dry_run, self._retention
        if retention.landing_days is not None or retention.quarantine_days is not None:
            keep = self._kept(ledger, landing, instance)
        if retention.landing_days is not None:
            before = now - timedelta(days=retention.landing_days)
            for _, size in prune_landing(landing, ledger, before, keep=keep, dry_run=dry_run):
                freed = freed._replace(files=freed.files + 1, file_bytes=freed.file_bytes + size)
                yield freed
        if retention.quarantine_days is not None:
            before = now - timedelta(days=retention.quarantine_days)
            for _, rows in prune_quarantine(ledger, self._feed.tables, before, keep=keep, dry_run=dry_run):
                freed = freed._replace(
                    partitions_of_rejects=freed.partitions_of_rejects + 1,
                    rejected_rows=freed.rejected_rows + rows,
                )
                yield freed
        if self._run_days is not None:
            for _, what in prune_runs(
                instance, now - timedelta(days=self._run_days), owns=owns, dry_run=dry_run
            ):
                log = what == "log"
                freed = freed._replace(runs=freed.runs + (not log), logs=freed.logs + log)
                yield freed

    def _kept(self, ledger: Ledger, landing: Landing, instance: dg.DagsterInstance) -> set[str]:
        """Return the partitions to keep: those in progress, and the newest increment, which is looked for first."""
        in_progress = Backlog(self._feed, ledger, instance).in_progress()
        newest = landing.newest() if self._feed.has_increments else None
        return in_progress | (set() if newest is None else {newest.partition})


def prune_job(feed: FeedDeclaration, retention: Retention, run_days: int | None) -> dg.JobDefinition:
    """Return the job that prunes a feed, for a schedule."""

    @dg.op(
        name=f"pruned_{feed.name}",
        required_resource_keys={feed.ledger_key, feed.landing_key},
        out=dg.Out(dg.Nothing),
    )
    def prune(context: dg.OpExecutionContext) -> None:
        """Delete for ten minutes at most; the next run continues."""
        ledger, landing = (getattr(context.resources, key) for key in (feed.ledger_key, feed.landing_key))
        owns, begun, freed = of_code_location(context.run), monotonic(), Freed()
        with expected_failures():
            for freed_by_now in Pruning(feed, retention, run_days).freed(
                ledger, landing, context.instance, datetime.now(UTC), owns
            ):
                freed = freed_by_now
                if monotonic() - begun > _MOST_SECONDS:
                    context.log.info("Stopped after %d s; the next run continues.", _MOST_SECONDS)
                    break
        context.add_output_metadata(freed._asdict())

    @dg.job(name=f"prune_{feed.name}", description=_DESCRIPTION)
    def job() -> None:
        prune()

    return job
