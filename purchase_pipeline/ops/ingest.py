"""Load every missing batch in this process, one after the other, through the same Dagster job as `up`."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from time import monotonic

from rich.console import Console

from purchase_pipeline.feeds.backlog import Backlog, Taken
from purchase_pipeline.feeds.lost_materializations import restore_catalog
from purchase_pipeline.feeds.partitions import WHOLE
from purchase_pipeline.ingest.ledger import LoadedPartition
from purchase_pipeline.ingest.printable import quantity
from purchase_pipeline.ops.console import BacklogWatch, LiveProgress
from purchase_pipeline.ops.lines import print_text
from purchase_pipeline.ops.pipeline import Declare, Pipeline
from purchase_pipeline.ops.retries import retries_shown
from purchase_pipeline.ops.runs import consecutive, job_runs
from purchase_pipeline.ops.summary import print_next_steps, print_summary
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.dagster_instance import open_instance
from purchase_pipeline.stack.database import database_in_use
from purchase_pipeline.stack.failover import DATABASE_AWAY, Failover
from purchase_pipeline.stack.processes import Processes
from purchase_pipeline.stack.services import (
    StackOptions,
    clear_leftovers,
    end_orphaned_runs,
    mock_api,
    wait_for_mock_api,
)

_POLL_SECONDS = 0.5


def run_ingest(declare: Declare, settings: Settings, options: StackOptions, console: Console) -> bool:
    """Try every missing batch once, and return whether all batches are loaded."""
    clock = monotonic()
    clear_leftovers(settings, options, console)
    processes = Processes(settings.home)
    with mock_api(settings, options, processes) as served, database_in_use(settings):
        served.save()
        with open_instance(served) as instance:
            pipeline = Pipeline(declare(served), served, instance)
            failover = Failover(served, partial(print_text, console))
            failover.wait_for(partial(end_orphaned_runs, served, instance))
            wait_for_mock_api(settings, served, processes)
            succeeded = _load_missing(pipeline, failover, console)
            failover.wait_for(partial(end_orphaned_runs, served, instance))
            failover.wait_for(partial(restore_catalog, pipeline.backlog, instance))
        backlog = Backlog(pipeline.feed, pipeline.ledger, pipeline.instance)  # with new increments
        loaded = failover.wait_for(backlog.loaded)
        print_summary(console, backlog.keys, loaded.values(), monotonic() - clock)
        print_next_steps(console, pipeline.feed, loaded.values(), module=options.module)
    return succeeded and len(loaded) == len(backlog.keys)


def _load_missing(pipeline: Pipeline, failover: Failover, console: Console) -> bool:
    """Load what is missing or due, and return whether nothing of it is left."""
    backlog, feed = pipeline.backlog, pipeline.feed
    job = feed.definitions(pipeline.settings).resolve_job_def(feed.job)
    target = len(backlog.keys) + feed.has_increments
    with (
        LiveProgress(console, target) as progress,
        retries_shown(progress.say) as end_retries,
        job_runs(pipeline, job) as start_run,
    ):
        loaded = failover.wait_for(backlog.loaded)
        watch = BacklogWatch(
            backlog,
            progress,
            loaded,
            again=backlog.again(loaded),
            begun=datetime.now(UTC),
            taken=_between_commits(),
            outlook=lambda _: "run `ingest` or `up` to retry it",
            is_retried=False,
        )

        def run(keys: Sequence[str]) -> bool:
            """Run the job for some batches, showing each when it is committed; return whether it succeeded."""
            before = len(watch.missing)
            succeeded = failover.wait_for(partial(_run_and_watch, partial(start_run, keys), watch.look))
            failover.wait_for(watch.look)
            if len(watch.missing) < before:
                end_retries()
            return succeeded

        if feed.partitions is None:
            return run([WHOLE])
        for keys in consecutive(list(watch.missing), backlog.keys, feed.partitions_per_run):
            run(keys)
            # A batch that fails ends its run. The remaining ones are run alone: each loads, or says why not.
            if len(keys) > 1 and (left := [key for key in keys if key in watch.missing]):
                progress.say(
                    f"The run stopped at {left[0]}; loading {quantity(len(left), 'batch')} one by one."
                )
                for key in left:
                    run([key])
        return not watch.missing


def _between_commits() -> Callable[[LoadedPartition], Taken]:
    last = datetime.now(UTC)

    def taken(batch: LoadedPartition) -> Taken:
        nonlocal last
        before, last = last, batch.committed_at
        return Taken((last - before).total_seconds())

    return taken


def _run_and_watch(start: Callable[[], Future[bool]], look: Callable[[], int]) -> bool:
    """Start a run, show commits until it ends, and return whether it succeeded."""
    run = start()
    while wait([run], timeout=_POLL_SECONDS).not_done:
        with suppress(*DATABASE_AWAY):  # the caller waits for the database once the run has ended
            look()
    return run.result()
