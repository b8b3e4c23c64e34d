"""Drills that kill processes: which there are."""

from functools import partial
from pathlib import Path

from resilience.drills.bench_of_lots import Strike, strike_lots
from resilience.drills.campaign_drill import up_killed
from resilience.drills.commands_together import commands_together
from resilience.drills.outcome import Drill, Outcome
from resilience.drills.strikes import (
    code_server_killed,
    daemon_killed,
    postgres_killed,
    postgres_stopped_at_once,
    worker_and_code_server_killed,
)
from resilience.drills.subjects import ORDERS
from resilience.drills.worker_drill import worker_killed

_A_LONG_COPY = 50_000  # rows: a second, to strike in


def _struck(
    times: int, folder: Path, strike: Strike, *, rows: int = _A_LONG_COPY, heal_seconds: float = 180
) -> Outcome:
    return strike_lots(times, folder, strike=strike, rows=rows, heal_seconds=heal_seconds)


DRILLS = (
    Drill(
        "worker-killed",
        "SIGKILL of the run worker at each of 20 points of a batch",
        full=200,
        short=2,
        run=worker_killed,
    ),
    Drill(
        "worker-of-orders-killed",
        "SIGKILL of the run worker of another feed (orders, in pages) at each of 20 points of a day",
        full=20,
        short=0,
        run=partial(worker_killed, subject=ORDERS),
    ),
    Drill(
        "code-server-killed",
        "SIGKILL of the code server in mid-COPY",
        full=10,
        short=0,
        run=partial(_struck, strike=code_server_killed),
    ),
    Drill(
        "worker-and-code-server-killed",
        "SIGKILL of the run worker and of the code server at once, in mid-COPY",
        full=10,
        short=0,
        run=partial(_struck, strike=worker_and_code_server_killed),
    ),
    Drill(
        "daemon-killed",
        "SIGKILL of Dagster's daemon within a tick",
        full=50,
        short=0,
        run=partial(_struck, strike=daemon_killed, rows=1_000),
    ),
    Drill(
        "postgres-immediate",
        "PostgreSQL stopped with SIGQUIT (immediate) in mid-COPY",
        full=20,
        short=0,
        run=partial(_struck, strike=postgres_stopped_at_once),
    ),
    Drill(
        "postgres-killed",
        "PostgreSQL's first process killed with SIGKILL in mid-COPY",
        full=20,
        short=0,
        run=partial(_struck, strike=postgres_killed),
    ),
    Drill(
        "commands-together",
        "Eight commands at once on one embedded PostgreSQL, one of them killed with SIGKILL",
        full=50,
        short=1,
        run=commands_together,
    ),
    Drill("up-killed", "SIGKILL of the whole `up`, started again each time", full=10, short=0, run=up_killed),
)
