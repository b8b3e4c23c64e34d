"""Drills that kill processes: which there are."""

from functools import partial
from pathlib import Path

from purchase_pipeline_tests.drills.bench_of_lots import Strike, strike_lots
from purchase_pipeline_tests.drills.campaign_drill import up_killed
from purchase_pipeline_tests.drills.commands_together import commands_together
from purchase_pipeline_tests.drills.outcome import Drill, Outcome
from purchase_pipeline_tests.drills.strikes import (
    code_server_killed,
    daemon_killed,
    postgres_killed,
    postgres_stopped_at_once,
    worker_and_code_server_killed,
)
from purchase_pipeline_tests.drills.worker_drill import worker_killed

_A_LONG_COPY = 50_000  # rows: a second, to strike in


def _struck(
    times: int, folder: Path, strike: Strike, *, rows: int = _A_LONG_COPY, heal_seconds: float = 180
) -> Outcome:
    return strike_lots(times, folder, strike=strike, rows=rows, heal_seconds=heal_seconds)


DRILLS = (
    Drill("worker-killed", "SIGKILL of the run worker at each of 20 places of a lot", 200, 2, worker_killed),
    Drill(
        "code-server-killed",
        "SIGKILL of the code server in mid-COPY",
        10,
        0,
        partial(_struck, strike=code_server_killed),
    ),
    Drill(
        "worker-and-code-server-killed",
        "SIGKILL of the run worker and of the code server at once, in mid-COPY",
        10,
        1,
        partial(_struck, strike=worker_and_code_server_killed),
    ),
    Drill(
        "daemon-killed",
        "SIGKILL of Dagster's daemon within a tick",
        50,
        0,
        partial(_struck, strike=daemon_killed, rows=1_000),
    ),
    Drill(
        "postgres-immediate",
        "PostgreSQL stopped with SIGQUIT (immediate) in mid-COPY",
        20,
        0,
        partial(_struck, strike=postgres_stopped_at_once),
    ),
    Drill(
        "postgres-killed",
        "PostgreSQL's first process killed with SIGKILL in mid-COPY",
        20,
        0,
        partial(_struck, strike=postgres_killed),
    ),
    Drill(
        "commands-together",
        "Eight commands at once on one embedded PostgreSQL, one of them killed with SIGKILL",
        50,
        2,
        commands_together,
    ),
    Drill("up-killed", "SIGKILL of the whole `up`, started again each time", 10, 0, up_killed),
)
