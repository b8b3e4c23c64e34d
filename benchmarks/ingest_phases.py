"""The phases of one `ingest`, reconstructed from its home folder."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from benchmarks.command import Ran
from benchmarks.timeline import Mark, marks_of, read_events, seconds_by_phase
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.validation import LoteValidation
from purchase_pipeline.settings import DAGSTER_DATABASE_NAME
from purchase_pipeline_tests.drills.live_stack import LiveStack

_LOADING = "validation, COPY, commit"
_EVENTS = {
    ("STEP_START", "raw_purchases"): "run start: plan, planned events",
    ("STEP_OUTPUT", "raw_purchases"): "fetch: API, HTTP, files",
    ("STEP_START", "validated_purchases"): "events of the fetch",
    ("HANDLED_OUTPUT", "validated_purchases"): _LOADING,
    ("STEP_SUCCESS", "validated_purchases"): "events of the load",
    ("PIPELINE_SUCCESS", ""): "checks, run end",
}
_STORAGE_MADE = "SELECT extract(epoch FROM max(create_timestamp))::float8 FROM secondary_indexes"
_FIRST_RUN = "SELECT extract(epoch FROM min(create_timestamp))::float8 FROM runs"


def phases_of(ran: Ran, home: LiveStack, lots: int) -> dict[str, float]:
    """Return the seconds of each phase, in order, with the share of validation in the loading phase.

    The home's server must be running.
    """
    seconds = seconds_by_phase(ran.began_at, _marks(home, ran.ended_at))
    return dict(_with_validation(seconds, _validation_seconds(landing_at(str(home.home / "landing")), lots)))


def _marks(home: LiveStack, ended_at: float) -> list[Mark]:
    """Return the timestamps that the command left: of files, of Dagster's rows and events."""
    (storage_made,), (first_run,) = (
        home.ask(query, database=DAGSTER_DATABASE_NAME)[0] for query in (_STORAGE_MADE, _FIRST_RUN)
    )
    return [
        Mark(_changed_at(home.home / "campaign.lock"), "Python, imports"),
        Mark(_changed_at(home.home / "campaign.env"), "PostgreSQL created and started"),
        Mark(storage_made, "Dagster's tables created"),
        Mark(first_run, "waiting for the mock API, importing definitions"),
        *marks_of(read_events(home), _EVENTS),
        Mark(ended_at, "stop"),
    ]


def _changed_at(path: Path) -> float:
    return path.stat().st_mtime


def _with_validation(seconds: dict[str, float], validation: float) -> Iterator[tuple[str, float]]:
    for phase, value in seconds.items():
        yield phase, value
        if phase == _LOADING:
            yield f"{_LOADING}; validation alone", validation


def _validation_seconds(landing: Landing, lots: int) -> float:
    """Validate the landed batches again, discarding the rows."""
    today = datetime.now(UTC).date()
    started = perf_counter()
    for number in range(1, lots + 1):
        landed = landing.find(f"lote-{number:04d}")
        if landed is None:
            raise FileNotFoundError(f"lote-{number:04d} has not landed in {landing.backend}.")
        validation = LoteValidation(landed.lote, received=landed.rows, max_rejected_ratio=1, today=today)
        with landing.open_rows(landed) as raw_rows:
            for _ in validation.accepted(raw_rows):
                pass
    return perf_counter() - started
