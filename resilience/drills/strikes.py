"""Moments of a real stack, seen from outside, and what is struck at them."""

import random
import signal
from time import monotonic, sleep

import psutil

from purchase_pipeline_tests.live_stack import LiveStack
from purchase_pipeline_tests.waiting import NotInTimeError, kill, wait_until

_LOOK_SECONDS = 0.002
_MOMENT_SECONDS = 120.0
_COPYING = b"SELECT FROM pg_stat_progress_copy WHERE command = 'COPY FROM' AND tuples_processed > 0"
_IN_TICK = b"SELECT FROM job_ticks WHERE type = 'SENSOR' AND status = 'STARTED'"
_SUBMITTED_IN_TICK = b"""
    SELECT FROM job_ticks JOIN runs ON runs.create_timestamp > job_ticks.timestamp
    WHERE job_ticks.type = 'SENSOR' AND job_ticks.status = 'STARTED'
"""
_LONGEST_TICK_SECONDS = 0.5


def postgres_stopped_at_once(stack: LiveStack, number: int) -> float:  # noqa: ARG001
    """Stop the server in the middle of a COPY as PostgreSQL's `immediate` does: SIGQUIT, no farewell."""
    return _strike_postmaster(stack, signal.SIGQUIT)


def postgres_killed(stack: LiveStack, number: int) -> float:  # noqa: ARG001
    """Kill the server's first process in the middle of a COPY."""
    return _strike_postmaster(stack, signal.SIGKILL)


def code_server_killed(stack: LiveStack, number: int) -> float:  # noqa: ARG001
    """Kill the code server in the middle of a COPY."""
    _wait_in(stack, "etl_fakedata", _COPYING)
    return _struck(kill(stack.code_servers()))


def worker_and_code_server_killed(stack: LiveStack, number: int) -> float:  # noqa: ARG001
    """Kill the run's worker and the code server that would have noticed, in the middle of a COPY."""
    _wait_in(stack, "etl_fakedata", _COPYING)
    workers = stack.workers()
    struck = kill([*stack.code_servers(), *workers])
    return _struck(struck if workers else 0)


def daemon_killed(stack: LiveStack, number: int) -> float:
    """Kill the daemon within a tick: at any moment of it or, every second time, after the run was submitted.

    A tick that ended before the kill does not count: the next is waited for.
    """
    deadline = monotonic() + _MOMENT_SECONDS
    while monotonic() < deadline:
        if number % 2:
            _wait_in(stack, "dagster", _SUBMITTED_IN_TICK)
        else:
            _wait_in(stack, "dagster", _IN_TICK)
            sleep(random.uniform(0, _LONGEST_TICK_SECONDS))  # noqa: S311
        struck_at = _struck(kill(stack.daemons()))
        if stack.ask(_IN_TICK.decode(), database="dagster"):
            return struck_at
        wait_until(stack.daemons, "a new daemon", 60)
    raise NotInTimeError("No tick was cut")


def _strike_postmaster(stack: LiveStack, blow: signal.Signals) -> float:
    _wait_in(stack, "etl_fakedata", _COPYING)
    postmaster = stack.postmaster()
    if postmaster is None:
        raise NotInTimeError("PostgreSQL was gone before it was struck")
    postmaster.send_signal(blow)
    struck_at = monotonic()
    psutil.wait_procs([postmaster], timeout=30)
    return struck_at


def _wait_in(stack: LiveStack, database: str, query: bytes) -> None:
    """Wait until a query finds something, looking as often as it can be asked."""
    with stack.connection(database) as connection:
        connection.autocommit = True
        wait_until(
            lambda: connection.execute(query).fetchone() is not None,
            "the moment to strike",
            _MOMENT_SECONDS,
            look_seconds=_LOOK_SECONDS,
        )


def _struck(processes: int) -> float:
    if not processes:
        raise NotInTimeError("What was to be killed was gone already")
    return monotonic()
