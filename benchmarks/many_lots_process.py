"""A process with many batches, all but ten loaded, that times what grows with their number.

`python -m benchmarks.many_lots_process FOLDER LOTS ROUNDS`
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from time import perf_counter

import dagster as dg
from rich.console import Console

from benchmarks.bench import a_dagster
from benchmarks.lot_copies import FIRST, LotCopies
from benchmarks.ui_pages import Shown, a_webserver, contents, shown_pages
from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.ingest.ledger import LotLedger
from purchase_pipeline.ops.console import BacklogWatch, LiveProgress
from purchase_pipeline.ops.pipeline import Pipeline
from purchase_pipeline.ops.runs import lot_runs
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.settings import current_settings
from purchase_pipeline.stack.database import dagster_storage_url, database_url

_MISSING, _ROWS, _DEFECTS = 10, 50, 0.02
_IMPORT = "from purchase_pipeline.definitions import defs; defs().get_repository_def()"
_Values = dict[str, tuple[str, Sequence[float]]]
"""Unit and one value per round, by name."""


def main() -> None:
    """Load the first batch, copy it, and print the measured values as JSON."""
    folder, lots, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with a_dagster(folder, lots, _ROWS, _DEFECTS) as instance:
        settings = current_settings()
        for job in ("ingest_lote", "sum_lots"):
            with lot_runs(Pipeline(settings, instance), job_name=job) as start_run:
                if not start_run([FIRST]).result():
                    raise RuntimeError(f"{job} failed")
        LotCopies(lots - _MISSING).make(database_url(settings), dagster_storage_url(settings))
        steps = _steps(instance, LotLedger(engine_for(database_url(settings))))
        values: _Values = {what: ("s", _seconds(step, rounds)) for what, step in steps.items()}
        pages = contents(lots - _MISSING, settings.lote_names[-_MISSING - 1])
        with a_webserver(settings.home) as address:
            values |= _of_pages(shown_pages(address, pages, rounds))
        print(json.dumps(values))


def _of_pages(shown: Mapping[str, Sequence[Shown]]) -> _Values:
    values: _Values = {}
    for name, times in shown.items():
        values[f"page: {name}"] = ("s", [one.seconds for one in times])
    for name, times in shown.items():
        values[f"transferred by page: {name}"] = ("kB", [one.kilobytes for one in times])
    rounds = zip(*shown.values(), strict=True)
    values["GraphQL responses, all pages"] = (
        "responses",
        [sum(one.answers for one in turn) for turn in rounds],
    )
    return values


def _steps(instance: dg.DagsterInstance, ledger: LotLedger) -> dict[str, Callable[[], object]]:
    # Imported here: the definitions read the environment, which the stack has set.
    from purchase_pipeline.definitions import defs  # noqa: PLC0415
    from purchase_pipeline.feeds.sensors import missing_lots  # noqa: PLC0415
    from purchase_pipeline.sales.automation import GROUP  # noqa: PLC0415

    definitions, sensor = defs(), missing_lots(current_settings())
    backlog = Backlog(current_settings().lote_names, ledger, instance)
    silent = LiveProgress(Console(file=StringIO()), len(backlog.lots))
    watch = BacklogWatch(backlog, silent, backlog.loaded(), seconds_taken=backlog.seconds_taken, outlook="")
    cursor: dg.AssetDaemonCursor | None = None

    def tick() -> None:
        with dg.build_sensor_context(instance, resources={"lot_ledger": ledger}) as context:
            sensor(context)

    def look() -> None:
        watch.look()
        watch.has_given_up()

    def automation() -> None:
        nonlocal cursor
        cursor = dg.evaluate_automation_conditions(
            definitions, instance, asset_selection=dg.AssetSelection.groups(GROUP), cursor=cursor
        ).cursor

    return {
        "loading definitions": lambda: subprocess.run([sys.executable, "-c", _IMPORT], check=True),
        "tick of missing_lots": tick,
        "tick of stale_sales": automation,
        "poll of `up`": look,
        "reading all loaded batches": backlog.loaded,
    }


def _seconds(step: Callable[[], object], rounds: int) -> list[float]:
    """Time a step; the first call, which fills caches, is not counted."""
    seconds = []
    for _ in range(rounds + 1):
        started = perf_counter()
        step()
        seconds.append(perf_counter() - started)
    return seconds[1:]


if __name__ == "__main__":
    main()
