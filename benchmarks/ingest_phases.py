"""Where the seconds of one `ingest` went, as its home folder tells after."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from benchmarks.command import Ran
from benchmarks.timeline import Mark, marks_of, read_events, seconds_by_phase
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.validation import LoteValidation
from purchase_pipeline.settings import DAGSTER_DATABASE_NAME
from purchase_pipeline_tests.live_stack import LiveStack

_LOADING = "judging, COPY, commit"
_EVENTS = {
    ("STEP_START", "raw_purchases"): "start of the runs: plan, events of what is planned",
    ("STEP_OUTPUT", "raw_purchases"): "fetch: API, HTTP, files",
    ("STEP_START", "validated_purchases"): "events of what was fetched",
    ("HANDLED_OUTPUT", "validated_purchases"): _LOADING,
    ("STEP_SUCCESS", "validated_purchases"): "events of what was loaded",
    ("PIPELINE_SUCCESS", ""): "checks, end of the runs",
}
_STORAGE_MADE = "SELECT extract(epoch FROM max(create_timestamp))::float8 FROM secondary_indexes"
_FIRST_RUN = "SELECT extract(epoch FROM min(create_timestamp))::float8 FROM runs"


def phases_of(ran: Ran, home: LiveStack, lots: int) -> dict[str, float]:
    """Return the seconds of each phase, in order; below the loading, how much of it judging takes when done alone.

    The home's server has to run.
    """
    seconds = seconds_by_phase(ran.began_at, _marks(home, ran.ended_at))
    return dict(_with_judging(seconds, _judging_seconds(landing_at(str(home.home / "landing")), lots)))


def _marks(home: LiveStack, ended_at: float) -> list[Mark]:
    """Return what the command left behind that tells a moment: files, rows of Dagster's, events."""
    (storage_made,), (first_run,) = (
        home.ask(query, database=DAGSTER_DATABASE_NAME)[0] for query in (_STORAGE_MADE, _FIRST_RUN)
    )
    return [
        Mark(_changed_at(home.home / "campaign.lock"), "Python, imports"),
        Mark(_changed_at(home.home / "campaign.env"), "PostgreSQL made and started"),
        Mark(storage_made, "Dagster's tables made"),
        Mark(first_run, "mock API awaited, definitions imported"),
        *marks_of(read_events(home), _EVENTS),
        Mark(ended_at, "stop of all"),
    ]


def _changed_at(path: Path) -> float:
    return path.stat().st_mtime


def _with_judging(seconds: dict[str, float], judging: float) -> Iterator[tuple[str, float]]:
    for phase, value in seconds.items():
        yield phase, value
        if phase == _LOADING:
            yield f"{_LOADING}; judging alone", judging


def _judging_seconds(landing: Landing, lots: int) -> float:
    """Judge the landed lots again, and do nothing with their rows."""
    today = datetime.now(UTC).date()
    started = perf_counter()
    for number in range(1, lots + 1):
        landed = landing.find(f"lote-{number:04d}")
        if landed is None:
            raise FileNotFoundError(f"lote-{number:04d} has not landed in {landing.place}.")
        validation = LoteValidation(landed.lote, received=landed.rows, max_rejected_ratio=1, today=today)
        with landing.open_rows(landed) as raw_rows:
            for _ in validation.accepted(raw_rows):
                pass
    return perf_counter() - started
