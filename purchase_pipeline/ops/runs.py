"""Runs of the job in this process, one after the other; each is a run of Dagster's like any other."""

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
    """Yield a function that starts a run of the job, or of these assets, for lots that follow each other.

    Of a job that has no partitions, for none.
    Its result is whether all went well. Dagster works in a thread of its own, where it leaves the signals to us: an
    interrupt lets the run under way end, then stops.
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


def consecutive(lots: Sequence[str], wanted: Sequence[str], most: int | None = None) -> Iterator[list[str]]:
    """Yield lots in such as follow each other among the wanted ones, at most so many together: a run each."""
    places = {lote: place for place, lote in enumerate(wanted)}
    run = list[str]()
    for lote, next_one in zip_longest(lots, lots[1:]):
        run.append(lote)
        if len(run) == most or next_one is None or places[next_one] != places[lote] + 1:
            yield run
            run = []
