"""Runs of a Dagster job in this process, one after the other."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import zip_longest

import dagster as dg

from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.ops.pipeline import Pipeline
from purchase_pipeline.stack.dagster_instance import keep_connections
from purchase_pipeline.stack.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)
from purchase_pipeline.stack.run_ownership import LAUNCHED_BY_TAG, this_launcher

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

StartRun = Callable[[Sequence[str]], Future[bool]]


@contextmanager
def job_runs(pipeline: Pipeline, job: dg.JobDefinition, assets: Sequence[str]) -> Iterator[StartRun]:
    """Yield a function that starts a run of some of a job's assets for consecutive partitions.

    The future's result is whether the run succeeded. Dagster runs in a worker thread, where it installs no signal
    handlers: an interrupt lets the current run finish, then stops.
    """
    keep_connections(pipeline.instance)
    with ThreadPoolExecutor(max_workers=1) as worker:
        yield lambda keys: worker.submit(execute_run, pipeline.feed, job, pipeline.instance, keys, assets)


def execute_run(
    feed: Feed,
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    keys: Sequence[str],
    assets: Sequence[str] | None = None,
) -> bool:
    """Run a job, or some of its assets, for consecutive partitions, and return whether the run succeeded.

    Of a feed without partitions the key is that of a landed increment to load, or empty.
    """
    partitioned = feed.partitions is not None
    return job.execute_in_process(
        instance=instance,
        partition_key=(keys[0] or None) if partitioned and len(keys) == 1 else None,
        tags={LAUNCHED_BY_TAG: this_launcher(), **(_range(keys) if len(keys) > 1 else {})},
        asset_selection=None if assets is None else [dg.AssetKey(name) for name in assets],
        run_config=_QUIET if partitioned else {**_QUIET, **feed.config_of_increment(keys[0])},
        raise_on_error=False,
    ).success


def _range(keys: Sequence[str]) -> dict[str, str]:
    return {ASSET_PARTITION_RANGE_START_TAG: keys[0], ASSET_PARTITION_RANGE_END_TAG: keys[-1]}


def consecutive(keys: Sequence[str], order: Sequence[str], longest: int | None = None) -> Iterator[list[str]]:
    """Group partitions into runs: consecutive in `order`, at most `longest` in each."""
    positions = {key: position for position, key in enumerate(order)}
    run = list[str]()
    for key, next_one in zip_longest(keys, keys[1:]):
        run.append(key)
        if len(run) == longest or next_one is None or positions[next_one] != positions[key] + 1:
            yield run
            run = []
