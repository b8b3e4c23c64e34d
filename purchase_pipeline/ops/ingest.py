"""Load every missing batch through the same Dagster job as `up`, in processes of this command."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import compress
from math import ceil
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
from purchase_pipeline.ops.run_processes import RunProcesses, run_processes
from purchase_pipeline.ops.runs import consecutive
from purchase_pipeline.ops.summary import print_next_steps, print_summary
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.dagster_instance import keep_connections, open_instance
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
_MOST_RUNS = min(2, os.cpu_count() or 1)  # as many as `up` has at once
_SHORTEST_RUN = 5  # for fewer batches, a second process would cost more than it gains


def run_ingest(declare: Declare, settings: Settings, options: StackOptions, console: Console) -> bool:
    """Try every missing batch once, and return whether all batches are loaded."""
    clock = monotonic()
    clear_leftovers(settings, options, console)
    processes = Processes(settings.home)
    with mock_api(settings, options, processes) as served:
        feed = declare(served)
        with database_in_use(settings), run_processes(feed, served, _MOST_RUNS) as runs:
            served.save()
            with open_instance(served) as instance:
                pipeline = Pipeline(feed, served, instance)
                failover = Failover(served, partial(print_text, console))
                failover.wait_for(partial(end_orphaned_runs, served, instance))
                wait_for_mock_api(settings, served, processes)
                succeeded = _load_missing(pipeline, runs, failover, console)
                runs.close()  # a run of theirs that the database has lost is an orphan now
                failover.wait_for(partial(end_orphaned_runs, served, instance))
                failover.wait_for(partial(restore_catalog, pipeline.backlog, instance))
            backlog = pipeline.backlog  # a partition that exists since then is for the next command
            if pipeline.feed.has_increments:
                backlog = Backlog(pipeline.feed, pipeline.ledger, instance)
            loaded = failover.wait_for(backlog.loaded)
            print_summary(console, backlog.keys, loaded.values(), monotonic() - clock)
            print_next_steps(console, pipeline.feed, loaded.values(), module=options.module)
    return succeeded and len(loaded) == len(backlog.keys)


def _load_missing(pipeline: Pipeline, runs: RunProcesses, failover: Failover, console: Console) -> bool:
    """Load what is missing or due, and return whether nothing of it is left."""
    backlog, feed = pipeline.backlog, pipeline.feed
    target = len(backlog.keys) + feed.has_increments
    keep_connections(pipeline.instance)
    with (
        LiveProgress(console, target) as progress,
        retries_shown(runs.retries, progress.say) as end_retries,
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
        loading = _Loading(runs, failover, watch, end_retries)
        if feed.partitions is None:
            return loading.run([[WHOLE]])
        for groups in _groups(pipeline, list(watch.missing)):
            loading.run(groups)
            # A batch that fails ends its run. The remaining ones are run alone: each loads, or says why not.
            for keys in groups:
                if len(keys) > 1 and (left := [key for key in keys if key in watch.missing]):
                    rest = f"loading {quantity(len(left), 'batch')} one by one."
                    progress.say(f"The run stopped at {left[0]}; {rest}")
                    for key in left:
                        loading.run([[key]])
        return not watch.missing


@dataclass(frozen=True)
class _Loading:
    """Runs, with what they have loaded shown on the terminal."""

    runs: RunProcesses
    failover: Failover
    watch: BacklogWatch
    end_retries: Callable[[], None]

    def run(self, groups: Sequence[Sequence[str]]) -> bool:
        """Run the job for each group of batches at the same time, and return whether all runs succeeded.

        A run that loses the database is repeated.
        """
        while True:
            started = [self.runs.start(keys) for keys in groups]
            while wait(started, timeout=_POLL_SECONDS).not_done:
                self.failover.attempt(self._look)
            self.failover.wait_for(self._look)
            lost = [isinstance(each.exception(), DATABASE_AWAY) for each in started]
            if not any(lost):
                return all(each.result() for each in started)
            groups = list(compress(groups, lost))

    def _look(self) -> int:
        before = len(self.watch.missing)
        loaded = self.watch.look()
        if len(self.watch.missing) < before:
            self.end_retries()
        return loaded


def _groups(pipeline: Pipeline, missing: list[str]) -> Iterator[list[list[str]]]:
    """Yield the partitions of runs that are executed at the same time."""
    feed, most = pipeline.feed, _most_runs(pipeline)
    length = min(feed.partitions_per_run, max(_SHORTEST_RUN, ceil(len(missing) / most)))
    groups = list(consecutive(missing, pipeline.backlog.keys, length))
    if most > 1:
        yield groups
    else:
        yield from ([keys] for keys in groups)


def _most_runs(pipeline: Pipeline) -> int:
    """Return how many runs may be executed at once, by the feed and the limits of its pools."""
    feed = pipeline.feed
    if feed.write.merges:  # a partition's rows may overwrite those of the one before
        return 1
    known = {pool.name: pool.limit for pool in pipeline.instance.event_log_storage.get_pool_limits()}
    limits = (known.get(pool) or _MOST_RUNS for pool in (feed.api_pool, feed.database_pool))
    return min(_MOST_RUNS, *limits)


def _between_commits() -> Callable[[LoadedPartition], Taken]:
    last = datetime.now(UTC)

    def taken(batch: LoadedPartition) -> Taken:
        nonlocal last
        before, last = last, batch.committed_at
        return Taken((last - before).total_seconds())

    return taken
