"""Drills on what a person may do meanwhile: delete runs, press Wipe, empty the ledger, limit the roles."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic

from psycopg import sql

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME
from purchase_pipeline.stack.roles import DAGSTER, LOADER
from purchase_pipeline_tests.live_stack import LiveStack, live_stack
from purchase_pipeline_tests.waiting import NotInTimeError, wait_until
from resilience.drills.bench_of_lots import counted, is_idle, is_whole, load_options, wipe
from resilience.drills.content import LOT_ENTRIES
from resilience.drills.outcome import Drill, Outcome

_DAGSTER = Path(sys.executable).with_name("dagster")
_ROWS = 1_000
_A_LONG_LOAD = 50_000  # rows: longer than the limits allow
_LOTS = 3
_HEAL_SECONDS = 300.0
_LOAD_SECONDS = 600.0
_ASSETS = ("raw_purchases", "tabela_compras", "compras_rejeitadas")
_LOADED = f"SELECT FROM {LOT_ENTRIES} HAVING count(*) = %s"
_RUNS_OF = (
    "SELECT run_id FROM runs WHERE pipeline_name = 'ingest_lote' AND partition = %s ORDER BY create_timestamp"
)
_RUNS = "SELECT count(*) FROM runs WHERE pipeline_name = 'ingest_lote'"
_CATALOG = """
    SELECT FROM (
        SELECT DISTINCT asset_key, partition FROM event_logs
        WHERE dagster_event_type = 'ASSET_MATERIALIZATION' AND asset_key = ANY(%s) AND timestamp > %s
    ) AS materialized HAVING count(*) = %s
"""
_LIMITS = (
    {"transaction_timeout": "500ms"},
    {"idle_in_transaction_session_timeout": "200ms"},
    {"statement_timeout": "500ms", "lock_timeout": "1ms"},
    {"idle_session_timeout": "200ms"},
    {"default_transaction_isolation": "serializable", "default_transaction_deferrable": "on"},
    {"default_transaction_isolation": "repeatable read", "default_transaction_read_only": "on"},
)

Fault = Callable[[LiveStack, int], Callable[[], bool]]
"""Strikes once; returns a function that reports whether all is as it was."""


def _struck(times: int, folder: Path, fault: Fault, *, rows: int = _ROWS) -> Outcome:
    """Load every lot, strike time after time, and wait each time until all is as it was."""
    seconds = list[float]()
    with live_stack(folder, *load_options(_LOTS, rows)) as stack:
        _load_all(stack)
        for number in range(times):
            healed, began = fault(stack, number), monotonic()
            with suppress(NotInTimeError):
                wait_until(healed, "healing", _HEAL_SECONDS)
                seconds.append(monotonic() - began)
            print(f"  {number + 1}/{times}: {monotonic() - began:.1f} s, {len(seconds)} healed", flush=True)
            wait_until(lambda: is_idle(stack), "a quiet stack", _LOAD_SECONDS)
        lost, doubled = counted(stack, _LOTS, rows)
    return Outcome(times=times, lost=lost, doubled=doubled, healed=len(seconds), seconds=seconds)


def _lote(number: int) -> str:
    return f"lote-{number % _LOTS + 1:04d}"


def _load_all(stack: LiveStack) -> None:
    wait_until(lambda: stack.ask(_LOADED, 2 * _LOTS), "all lots", _LOAD_SECONDS)
    wait_until(lambda: is_idle(stack), "a quiet stack", _LOAD_SECONDS)


def _dagster(stack: LiveStack, *words: str) -> None:
    """Run one of Dagster's own commands on the stack's storage."""
    url = stack.server.url(DAGSTER_DATABASE_NAME).replace("postgresql:", "postgresql+psycopg2:", 1)
    environment = {"DAGSTER_HOME": str(stack.home / "dagster"), "DAGSTER_POSTGRES_URL": url}
    subprocess.run([_DAGSTER, *words], env=stack.environment | environment, check=True, capture_output=True)


def _history_cleared(stack: LiveStack, number: int) -> Callable[[], bool]:
    """Delete a lot's oldest run of several or, every third time, all of its runs; then wipe the lot."""
    lote = _lote(number)
    wipe(stack, lote)
    _load_all(stack)
    runs = [run_id for (run_id,) in stack.ask(_RUNS_OF, lote, database=DAGSTER_DATABASE_NAME)]
    for run_id in runs if number % 3 == 2 else runs[:1]:
        _dagster(stack, "run", "delete", "--force", run_id)
    wipe(stack, lote)
    return lambda: is_whole(stack, lote)


def _catalog_wiped(stack: LiveStack, number: int) -> Callable[[], bool]:
    """Wipe all three assets in Dagster or, every third time, one; no lot may be loaded for it."""
    assets = _ASSETS if number % 3 else _ASSETS[1:2]
    before, now = stack.ask(_RUNS, database=DAGSTER_DATABASE_NAME), datetime.now(UTC).replace(tzinfo=None)
    _dagster(stack, "asset", "wipe", "--noprompt", *assets)
    keys = [f'["{asset}"]' for asset in assets]

    def healed() -> bool:
        expected = len(assets) * _LOTS
        there = stack.ask(_CATALOG, keys, now, expected, database=DAGSTER_DATABASE_NAME)
        return bool(there) and stack.ask(_RUNS, database=DAGSTER_DATABASE_NAME) == before

    return healed


def _ledger_wiped(stack: LiveStack, number: int) -> Callable[[], bool]:
    """Delete what the ledger says of a lot or, every other time, the lot's rows and nothing else."""
    lote = _lote(number)
    table, column = ("tabela_compras", "lote") if number % 2 else ("slice_ledger", "partition")
    statement = sql.SQL("DELETE FROM {} WHERE {} = %s").format(sql.Identifier(table), sql.Identifier(column))
    with stack.connection() as connection:
        connection.execute(statement, [lote])
    rows = "SELECT FROM tabela_compras WHERE lote = %s HAVING count(*) = %s"
    return lambda: is_whole(stack, lote) and bool(stack.ask(rows, lote, _ROWS * 99 // 100))


def _roles_limited(stack: LiveStack, number: int) -> Callable[[], bool]:
    """Give the loader and Dagster's role small limits or other defaults, in place of the last ones; then wipe a lot."""
    lote = _lote(number)
    with stack.connection("postgres") as connection:
        for role in (LOADER, DAGSTER):
            connection.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(sql.Identifier(role)))
            for limit, value in _LIMITS[number % len(_LIMITS)].items():
                statement = sql.SQL("ALTER ROLE {} SET {} = {}")
                connection.execute(
                    statement.format(sql.Identifier(role), sql.Identifier(limit), sql.Literal(value))
                )
    wipe(stack, lote)
    return lambda: is_whole(stack, lote)


DRILLS = (
    Drill(
        "history-cleared",
        "A batch's runs deleted in Dagster, the oldest or all, then the batch deleted",
        full=10,
        short=0,
        run=partial(_struck, fault=_history_cleared),
    ),
    Drill(
        "catalog-wiped",
        "Assets wiped in Dagster, while ledger and tables have every batch",
        full=10,
        short=0,
        run=partial(_struck, fault=_catalog_wiped),
    ),
    Drill(
        "ledger-wiped",
        "A batch deleted only from the ledger, or only from its table",
        full=10,
        short=0,
        run=partial(_struck, fault=_ledger_wiped),
    ),
    Drill(
        "role-limits",
        "Small timeouts, or other transaction defaults, set on the roles by `ALTER ROLE`",
        full=10,
        short=1,
        run=partial(_struck, fault=_roles_limited, rows=_A_LONG_LOAD),
    ),
)
