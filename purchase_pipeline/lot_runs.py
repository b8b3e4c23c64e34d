"""Runs of the job in this process, one lot after the other; each is a run of Dagster's like any other."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import dagster as dg

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

RunLote = Callable[[str], bool]


@contextmanager
def lot_runs(instance: dg.DagsterInstance, assets: Sequence[str] | None = None) -> Iterator[RunLote]:
    """Yield a function that runs the job for a lot, or these assets of it, and returns whether all went well.

    Dagster works in a thread of its own, where it leaves the signals to us: an interrupt lets the lot under way end,
    then stops.
    """
    # Imported now: the definitions read the environment, which opening the instance has set.
    from purchase_pipeline.definitions import defs  # noqa: PLC0415

    job = defs.resolve_job_def("ingest_lote")
    selection = None if assets is None else [dg.AssetKey(name) for name in assets]
    with ThreadPoolExecutor(max_workers=1) as worker:

        def run(lote: str) -> bool:
            execution = worker.submit(
                job.execute_in_process,
                instance=instance,
                partition_key=lote,
                asset_selection=selection,
                run_config=_QUIET,
                raise_on_error=False,
            )
            return execution.result().success

        yield run
