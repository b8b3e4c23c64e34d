"""In-process runs of a Dagster job, one after the other."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import zip_longest

import dagster as dg

from purchase_pipeline.definitions import build_definitions
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
def lot_runs(
    pipeline: Pipeline, assets: Sequence[str] | None = None, job_name: str = "ingest_lote"
) -> Iterator[StartRun]:
    """Yield a function that starts a run of the job, or of some of its assets, for consecutive batches.

    Pass no batches for a job without partitions. The future's result is whether the run succeeded. Dagster runs in a
    worker thread, where it installs no signal handlers: an interrupt lets the current run finish, then stops.
    """
    keep_connections(pipeline.instance)
    job = build_definitions(pipeline.settings).resolve_job_def(job_name)
    selection = None if assets is None else [dg.AssetKey(name) for name in assets]
    launched = {LAUNCHED_BY_TAG: this_launcher()}
    with ThreadPoolExecutor(max_workers=1) as worker:

        def run(lots: Sequence[str]) -> bool:
            return job.execute_in_process(
                instance=pipeline.instance,
                partition_key=lots[0] if len(lots) == 1 else None,
                tags={**launched, **(_range(lots) if len(lots) > 1 else {})},
                asset_selection=selection,
                run_config=_QUIET,
                raise_on_error=False,
            ).success

        yield lambda lots: worker.submit(run, lots)


def _range(lots: Sequence[str]) -> dict[str, str]:
    return {ASSET_PARTITION_RANGE_START_TAG: lots[0], ASSET_PARTITION_RANGE_END_TAG: lots[-1]}


def consecutive(lots: Sequence[str], order: Sequence[str], longest: int | None = None) -> Iterator[list[str]]:
    """Group batches into runs: consecutive in `order`, at most `longest` in each."""
    positions = {lote: position for position, lote in enumerate(order)}
    run = list[str]()
    for lote, next_one in zip_longest(lots, lots[1:]):
        run.append(lote)
        if len(run) == longest or next_one is None or positions[next_one] != positions[lote] + 1:
            yield run
            run = []
