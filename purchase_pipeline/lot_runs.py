"""Runs of the job in this process, one after the other; each is a run of Dagster's like any other."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

_CONNECTIONS = 4
_STATEMENT_MILLISECONDS = 60_000
_CONNECTION_SECONDS = 3_600

StartRun = Callable[[Sequence[str]], Future[bool]]


@contextmanager
def lot_runs(instance: dg.DagsterInstance, assets: Sequence[str] | None = None) -> Iterator[StartRun]:
    """Yield a function that starts a run of the job, or of these assets, for lots that follow each other.

    Its result is whether all went well. Dagster works in a thread of its own, where it leaves the signals to us: an
    interrupt lets the run under way end, then stops.
    """
    # Dagster's storage opens a connection a statement, fifty a run, unless it is told to keep them.
    instance.optimize_for_webserver(_STATEMENT_MILLISECONDS, _CONNECTION_SECONDS, _CONNECTIONS)
    # Imported now: the definitions read the environment, which opening the instance has set.
    from purchase_pipeline.definitions import defs  # noqa: PLC0415

    job = defs.resolve_job_def("ingest_lote")
    selection = None if assets is None else [dg.AssetKey(name) for name in assets]
    with ThreadPoolExecutor(max_workers=1) as worker:

        def run(lots: Sequence[str]) -> bool:
            several = {ASSET_PARTITION_RANGE_START_TAG: lots[0], ASSET_PARTITION_RANGE_END_TAG: lots[-1]}
            return job.execute_in_process(
                instance=instance,
                partition_key=lots[0] if len(lots) == 1 else None,
                tags=None if len(lots) == 1 else several,
                asset_selection=selection,
                run_config=_QUIET,
                raise_on_error=False,
            ).success

        yield lambda lots: worker.submit(run, lots)
