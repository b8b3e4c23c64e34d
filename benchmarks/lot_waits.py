"""The time of each batch from the sensor's tick to its commit, by phase."""

from collections.abc import Iterable, Sequence
from statistics import quantiles

from dagster._core.scheduler.instigation import TickData
from dagster._serdes import deserialize_value

from benchmarks.timeline import Event, Mark, marks_of, read_events, seconds_by_phase
from purchase_pipeline.settings import DAGSTER_DATABASE_NAME
from purchase_pipeline_tests.drills.live_stack import LiveStack

_TICKS = "SELECT tick_body FROM job_ticks WHERE status = 'SUCCESS' ORDER BY id"
_COMMITS = """
    SELECT partition, max(run_id), extract(epoch FROM max(committed_at))::float8 FROM slice_ledger
    GROUP BY partition ORDER BY 3
"""
_EVENTS = {
    ("PIPELINE_ENQUEUED", ""): "sensor evaluates and requests",
    ("PIPELINE_STARTING", ""): "run waits in the queue",
    ("STEP_START", "raw_purchases"): "run process starts and imports",
    ("STEP_OUTPUT", "raw_purchases"): "fetch",
}
_LOADING = "events, validation, COPY, commit"

Request = tuple[float, Sequence[str]]


def read_waits(home: LiveStack) -> list[dict[str, float]]:
    """Return the seconds of each batch's phases, in commit order. The home's server must be running."""
    requested = first_requested(_read_requests(home))
    events = read_events(home)
    return [
        phases_of_lot(requested[lote], [event for event in events if event.run_id == run_id], committed_at)
        for lote, run_id, committed_at in home.ask(_COMMITS)
    ]


def read_commits(home: LiveStack) -> list[float]:
    """Return the commit times, in seconds since the epoch."""
    return [committed_at for _, _, committed_at in home.ask(_COMMITS)]


def first_requested(requests: Iterable[Request]) -> dict[str, float]:
    """Return when each batch was first requested, from ticks with their run keys (`lote/attempt/...`)."""
    requested: dict[str, float] = {}
    for at, run_keys in sorted(requests):
        for run_key in run_keys:
            requested.setdefault(run_key.partition("/")[0], at)
    return requested


def phases_of_lot(requested_at: float, events: Iterable[Event], committed_at: float) -> dict[str, float]:
    """Return the seconds from the tick to the commit by phase, from the events of the batch's run."""
    marks = [mark for mark in marks_of(events, _EVENTS) if mark.at < committed_at]
    return seconds_by_phase(requested_at, [*marks, Mark(committed_at, _LOADING)])


def percentile_95(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return quantiles(values, n=20, method="inclusive")[-1]


def _read_requests(home: LiveStack) -> list[Request]:
    ticks = [
        deserialize_value(body, TickData) for (body,) in home.ask(_TICKS, database=DAGSTER_DATABASE_NAME)
    ]
    return [(tick.timestamp, tick.run_keys) for tick in ticks]
