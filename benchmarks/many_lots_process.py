"""A process whose definitions have so many lots, of which all but ten are loaded, and which times what grows with them.

`python -m benchmarks.many_lots_process FOLDER LOTS ROUNDS`
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable

from benchmarks.bench import a_dagster
from purchase_pipeline.campaign import Campaign
from purchase_pipeline.database import dagster_storage_url, database_url
from purchase_pipeline.lot_ledger import LotLedger
from purchase_pipeline.lot_runs import lot_runs
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.postgres.ledger import ledger_table
from purchase_pipeline.settings import current_settings
from purchase_pipeline.tables import TABELA_COMPRAS

_MISSING, _ROWS = 10, 10
_FIRST = "lote-0001"
_IMPORT = "from purchase_pipeline.definitions import defs; defs.get_repository_def()"


def main() -> None:
    """Load the first lot, make the others, and print the seconds of each thing measured as JSON, a list a thing."""
    folder, lots, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with a_dagster(folder, lots, _ROWS) as instance:
        for job in ("ingest_lote", "sum_lots"):
            with lot_runs(instance, job_name=job) as start_run:
                if not start_run([_FIRST]).result():
                    raise RuntimeError(f"{job} failed")
        settings = current_settings()
        _multiply(database_url(settings), dagster_storage_url(settings), lots - _MISSING)
        steps = _steps(instance, LotLedger(engine_for(database_url(settings))))
        print(json.dumps({what: _seconds(step, rounds) for what, step in steps.items()}))


def _steps(instance: dg.DagsterInstance, ledger: LotLedger) -> dict[str, Callable[[], object]]:
    # Imported now: the definitions read the environment, which the stack has set.
    from purchase_pipeline.definitions import defs  # noqa: PLC0415
    from purchase_pipeline.lots import lotes  # noqa: PLC0415
    from purchase_pipeline.sales.automation import GROUP  # noqa: PLC0415
    from purchase_pipeline.sensors import missing_lots  # noqa: PLC0415

    campaign = Campaign(list(lotes.get_partition_keys()), ledger, instance)
    cursor: dg.AssetDaemonCursor | None = None

    def tick() -> None:
        with dg.build_sensor_context(instance, resources={"lot_ledger": ledger}) as context:
            missing_lots(context)

    def automation() -> None:
        nonlocal cursor
        cursor = dg.evaluate_automation_conditions(
            defs, instance, asset_selection=dg.AssetSelection.groups(GROUP), cursor=cursor
        ).cursor

    return {
        "definitions loaded": lambda: subprocess.run([sys.executable, "-c", _IMPORT], check=True),
        "tick of missing_lots": tick,
        "tick of stale_sales": automation,
        "look of up": campaign.loaded,
    }


def _seconds(step: Callable[[], object], rounds: int) -> list[float]:
    """Time a step; the first time, which fills caches, is not counted."""
    seconds = []
    for _ in range(rounds + 1):
        started = perf_counter()
        step()
        seconds.append(perf_counter() - started)
    return seconds[1:]


def _multiply(database: str, dagster: str, lots: int) -> None:
    """Make that many lots of the first: rows and ledger, runs and materializations."""
    numbers = sa.select(sa.func.generate_series(2, lots).label("number")).subquery()
    digits = sa.cast(numbers.c.number, sa.Text)
    lote = sa.literal("lote-").concat(sa.func.lpad(digits, sa.func.greatest(4, sa.func.length(digits)), "0"))

    def copies(table: sa.Table, of: sa.ColumnElement[bool], **changed: sa.ColumnElement[Any]) -> sa.Insert:
        columns = [column for column in table.columns if column.name != "id" and column.identity is None]
        values = [changed.get(column.name, column) for column in columns]
        made = sa.select(*values).select_from(sa.join(table, numbers, of))
        return table.insert().from_select([column.name for column in columns], made)

    ledger = ledger_table()
    with engine_for(database).begin() as connection:
        connection.execute(copies(TABELA_COMPRAS, TABELA_COMPRAS.c.lote == _FIRST, lote=lote))
        connection.execute(copies(ledger, ledger.c.partition == _FIRST, partition=lote))
    with sa.create_engine(dagster).begin() as connection:

        def of_lot(text: sa.ColumnElement[str], run_id: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
            renamed = sa.func.replace(text, _FIRST, lote)
            return sa.func.replace(renamed, run_id, new_id(run_id))

        def new_id(run_id: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
            return sa.cast(sa.cast(sa.func.md5(run_id.concat(digits)), sa.UUID), sa.Text)

        runs, tags, events = RunsTable.c, RunTagsTable.c, SqlEventLogStorageTable.c
        connection.execute(
            copies(
                RunsTable,
                runs.partition == _FIRST,
                run_id=new_id(runs.run_id),
                partition=lote,
                run_body=of_lot(runs.run_body, runs.run_id),
            )
        )
        connection.execute(
            copies(RunTagsTable, sa.true(), run_id=new_id(tags.run_id), value=of_lot(tags.value, tags.run_id))
        )
        connection.execute(
            copies(
                SqlEventLogStorageTable,
                sa.and_(
                    events.partition == _FIRST,
                    events.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                ),
                run_id=new_id(events.run_id),
                partition=lote,
                event=of_lot(events.event, events.run_id),
            )
        )
    for url in (database, dagster):
        with sa.create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))


if __name__ == "__main__":
    main()
