"""How long each lot of a campaign took from the sensor's tick to its commit, and where that went."""

from collections.abc import Iterable, Sequence
from statistics import quantiles

from dagster._core.scheduler.instigation import TickData
from dagster._serdes import deserialize_value

from benchmarks.timeline import Event, Mark, marks_of, read_events, seconds_by_phase
from purchase_pipeline.settings import DAGSTER_DATABASE_NAME
from purchase_pipeline_tests.live_stack import LiveStack

_TICKS = "SELECT tick_body FROM job_ticks WHERE status = 'SUCCESS' ORDER BY id"
_COMMITS = """
    SELECT partition, max(run_id), extract(epoch FROM max(committed_at))::float8 FROM slice_ledger
    GROUP BY partition ORDER BY 3
"""
_EVENTS = {
    ("PIPELINE_ENQUEUED", ""): "the sensor looks and asks",
    ("PIPELINE_STARTING", ""): "the run waits for its turn",
    ("STEP_START", "raw_purchases"): "its process starts and imports",
    ("STEP_OUTPUT", "raw_purchases"): "fetch",
}
_LOADING = "events, judging, COPY, commit"

Ask = tuple[float, Sequence[str]]


def read_waits(home: LiveStack) -> list[dict[str, float]]:
    """Return the seconds of each committed lot's phases, in the order of the commits. The home's server has to run."""
    asked = first_asked(_read_asks(home))
    events = read_events(home)
    return [
        phases_of_lot(asked[lote], [event for event in events if event.run_id == run_id], committed_at)
        for lote, run_id, committed_at in home.ask(_COMMITS)
    ]


def read_commits(home: LiveStack) -> list[float]:
    """Return when each lot was committed, in seconds since the epoch."""
    return [committed_at for _, _, committed_at in home.ask(_COMMITS)]


def first_asked(asks: Iterable[Ask]) -> dict[str, float]:
    """Return when each lot was asked for first, of ticks with the run keys (`lote/attempt/...`) that they asked for."""
    asked: dict[str, float] = {}
    for at, run_keys in sorted(asks):
        for run_key in run_keys:
            asked.setdefault(run_key.partition("/")[0], at)
    return asked


def phases_of_lot(asked_at: float, events: Iterable[Event], committed_at: float) -> dict[str, float]:
    """Return where the seconds from the tick to the commit went, by the events of the lot's run."""
    marks = [mark for mark in marks_of(events, _EVENTS) if mark.at < committed_at]
    return seconds_by_phase(asked_at, [*marks, Mark(committed_at, _LOADING)])


def percentile_95(values: Sequence[float]) -> float:
    """Return the value that one in twenty exceeds."""
    return quantiles(values, n=20, method="inclusive")[-1]


def _read_asks(home: LiveStack) -> list[Ask]:
    ticks = [
        deserialize_value(body, TickData) for (body,) in home.ask(_TICKS, database=DAGSTER_DATABASE_NAME)
    ]
    return [(tick.timestamp, tick.run_keys) for tick in ticks]
