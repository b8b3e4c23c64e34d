"""Faults inside PostgreSQL: a session ended, a statement cancelled, somebody else's locks, no connection, no room."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from threading import Event, Thread
from time import sleep

import psycopg

from purchase_pipeline_tests.tcp_link import Link
from purchase_pipeline_tests.tcp_proxy import TcpProxy
from purchase_pipeline_tests.waiting import NotInTimeError, wait_until
from resilience.drills.full_disk import run_on_a_full_disk
from resilience.drills.half_open import run_half_open
from resilience.drills.lot_bench import DATABASE, ROLE, LotBench
from resilience.drills.outcome import Drill, Outcome
from resilience.drills.postgres_wire import at_copy_byte
from resilience.drills.trials import Fault, HasStruck, outcome_of_struck, try_once
from resilience.drills.wire_drills import a_lot_on_the_wire, on_the_wire

_PATIENCE_SECONDS = 10.0
_HELD_SECONDS = 0.3
_BEGUN = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'tabela_compras'::regclass AND granted AND pid <> %s)"
_WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'tabela_compras'::regclass AND NOT granted)"

FaultOn = Callable[[LotBench, TcpProxy, int], Fault]
"""Makes a fault for a bench, given the proxy before its PostgreSQL and how many bytes the lot's COPYs have."""


def _in_mid_copy(statement: str, bench: LotBench, proxy: TcpProxy, copied: int) -> Fault:
    """Let the superuser run a statement on every session of the loader when half of COPY has passed."""

    def act(_: Link) -> None:
        with bench.database.as_superuser() as connection:
            connection.execute(statement.encode(), [ROLE])

    return on_the_wire(proxy, lambda: at_copy_byte(copied // 2, DATABASE, act))


def _connection_limit(_: LotBench, proxy: TcpProxy, copied: int) -> Fault:
    """Leave the loader no connection: every other time from the start, or for what it opens after COPY began."""
    numbers = count()

    @contextmanager
    def fault(bench: LotBench) -> Iterator[HasStruck]:
        def limit(connections: int) -> None:
            with bench.database.as_superuser() as connection:
                connection.execute(f"ALTER ROLE {ROLE} CONNECTION LIMIT {connections}".encode())

        at_byte = copied // 2 if next(numbers) % 2 else 0
        with on_the_wire(proxy, lambda: at_copy_byte(at_byte, DATABASE, lambda _: limit(0)))(bench):
            if not at_byte:
                limit(0)
            yield lambda: "too many connections" in bench.failure
            limit(-1)

    return fault


@contextmanager
def _somebody(
    bench: LotBench, work: Callable[["psycopg.Connection[tuple[object, ...]]"], None]
) -> Iterator[None]:
    """Let another session, in a transaction of its own, do something meanwhile."""

    def run() -> None:
        with bench.database.as_superuser() as connection, connection.transaction():
            work(connection)

    thread = Thread(target=run, name="somebody")
    thread.start()
    yield
    thread.join()


def _lock_held(bench: LotBench, proxy: TcpProxy, copied: int) -> Fault:  # noqa: ARG001
    """Hold the table until a moment after the loader has begun to wait for it."""

    @contextmanager
    def fault(bench: LotBench) -> Iterator[HasStruck]:
        held, waited_for = Event(), Event()

        def hold(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
            connection.execute("LOCK TABLE tabela_compras IN ACCESS EXCLUSIVE MODE")
            held.set()
            if _comes_true(connection, _WAITING):
                waited_for.set()
                sleep(_HELD_SECONDS)

        with _somebody(bench, hold):
            held.wait(_PATIENCE_SECONDS)
            yield waited_for.is_set

    return fault


def _deadlock(bench: LotBench, proxy: TcpProxy, copied: int) -> Fault:  # noqa: ARG001
    """Lock the second table, and the first when the loader has it; the loader is the one that is cancelled."""

    @contextmanager
    def fault(bench: LotBench) -> Iterator[HasStruck]:
        held = Event()

        def cross(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
            connection.execute("SET LOCAL deadlock_timeout = '1min'")
            connection.execute("LOCK TABLE compras_rejeitadas IN SHARE ROW EXCLUSIVE MODE")
            held.set()
            if _comes_true(connection, _BEGUN, connection.info.backend_pid):
                connection.execute("LOCK TABLE tabela_compras IN SHARE ROW EXCLUSIVE MODE")

        with _somebody(bench, cross):
            held.wait(_PATIENCE_SECONDS)
            yield lambda: "deadlock detected" in bench.failure

    return fault


def _comes_true(connection: "psycopg.Connection[tuple[object, ...]]", question: str, *values: object) -> bool:
    def is_true() -> object:
        return (connection.execute(question.encode(), values).fetchone() or (False,))[0]

    with suppress(NotInTimeError):
        wait_until(is_true, question, _PATIENCE_SECONDS, look_seconds=0.002)
        return True
    return False


def _run(fault_on: FaultOn, times: int, folder: Path) -> Outcome:
    with a_lot_on_the_wire(folder) as (bench, proxy, copied):
        fault = fault_on(bench, proxy, copied)
        return outcome_of_struck(times, lambda: try_once(bench, fault))


def _drill(name: str, fault: str, fault_on: FaultOn, *, full: int = 100, short: int = 2) -> Drill:
    return Drill(name, fault, full=full, short=short, run=partial(_run, fault_on))


DRILLS = (
    _drill(
        "backend-terminated",
        "PostgreSQL session terminated at 50 % of COPY (`pg_terminate_backend`)",
        partial(_in_mid_copy, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"),
        short=0,
    ),
    _drill(
        "statement-cancelled",
        "COPY cancelled half-way (`pg_cancel_backend`)",
        partial(_in_mid_copy, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = %s"),
        short=0,
    ),
    _drill(
        "connection-limit", "No connection left: at the start, or from the middle of COPY", _connection_limit
    ),
    _drill("lock-held", "Table locked by another session while the batch loads", _lock_held),
    _drill("deadlock", "Deadlock with another session over the two tables", _deadlock),
    Drill(
        "half-open-postgres",
        "PostgreSQL accepts COPY and stops responding",
        full=3,
        short=0,
        run=run_half_open,
    ),
    Drill("disk-full", "Disk full at a random byte of the load", full=100, short=2, run=run_on_a_full_disk),
)
