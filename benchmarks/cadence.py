"""`up` at its normal pace: 50 batches, one every 5 s."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import quantiles

from dagster._core.scheduler.instigation import TickData
from dagster._serdes import deserialize_value

from benchmarks.command import an_empty_home, run_command
from benchmarks.figures import Figure, Measured
from purchase_pipeline.settings import DAGSTER_DATABASE_NAME
from purchase_pipeline_tests.live_stack import LiveStack
from purchase_pipeline_tests.serving import free_port

LOTS = 50
_ROWS = 10_000
_EVERY_SECONDS = 5
_MOST_SECONDS = 265
_MOST_TO_COMMIT = 2
_MOST_OF_POSTGRES = 0.4

_TICKS = "SELECT tick_body FROM job_ticks WHERE status = 'SUCCESS' ORDER BY id"
_COMMITS = """
    SELECT partition, extract(epoch FROM max(committed_at))::float8 FROM slice_ledger
    WHERE asset = 'tabela_compras' GROUP BY partition ORDER BY 2
"""
_NOTES = (
    "One run of `up`, regardless of rounds: waits have one value per batch.",
    "Tick to commit: from the start of the sensor's tick to the batch's ledger entry.",
    "PostgreSQL's CPU time is the last value seen of its postmaster, looks of sensors, daemon and `up` included.",
    "The time of the command starts with an empty home and includes starting and stopping all services.",
)

Ask = tuple[float, Sequence[str]]


def run(rounds: int, lots: int = LOTS) -> Measured:  # noqa: ARG001  # one campaign says it: each of its lots is a round
    """Run `up` once, and read from its home how long each batch took."""
    sizes = ["--lots", str(lots), "--rows", str(_ROWS), "--every", str(_EVERY_SECONDS)]
    with an_empty_home() as home:
        ran = run_command(home, "up", *sizes, "--api-port", str(free_port()), "--no-ui", "--exit-when-done")
        home.server.start()  # which `up` has stopped
        asked, commits = first_asked(_read_asks(home)), dict(home.ask(_COMMITS))
    waits = [at - asked[lote] for lote, at in commits.items()]
    figures = [
        Figure(f"`up`, {lots} batches", "s", [ran.seconds], at_most=_MOST_SECONDS),
        Figure("commit to commit", "s", [later - earlier for earlier, later in pairwise(commits.values())]),
        Figure("tick to commit", "s", waits),
        Figure("tick to commit, 95th percentile", "s", [percentile_95(waits)], at_most=_MOST_TO_COMMIT),
        Figure("tick to commit, longest", "s", [max(waits)]),
        Figure("PostgreSQL, a batch", "CPU s", [ran.server_cpu_seconds / lots], at_most=_MOST_OF_POSTGRES),
    ]
    return Measured("cadence", figures, notes=_NOTES)


def first_asked(asks: Iterable[Ask]) -> dict[str, float]:
    """Return when each batch was first requested, given ticks and their run keys (`lote/attempt/...`)."""
    asked: dict[str, float] = {}
    for at, run_keys in sorted(asks):
        for run_key in run_keys:
            asked.setdefault(run_key.partition("/")[0], at)
    return asked


def percentile_95(values: Sequence[float]) -> float:
    """Return the value that one in twenty exceeds."""
    return quantiles(values, n=20, method="inclusive")[-1]


def _read_asks(home: LiveStack) -> list[Ask]:
    ticks = [
        deserialize_value(body, TickData) for (body,) in home.ask(_TICKS, database=DAGSTER_DATABASE_NAME)
    ]
    return [(tick.timestamp, tick.run_keys) for tick in ticks]
