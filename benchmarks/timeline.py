"""Where the seconds of a command went: told by the moments that it leaves behind, in Dagster's log and elsewhere."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME
from purchase_pipeline_tests.live_stack import LiveStack

_EVENTS = """
    SELECT extract(epoch FROM timestamp)::float8, run_id, dagster_event_type, coalesce(step_key, '')
    FROM event_logs WHERE dagster_event_type IS NOT NULL ORDER BY id
"""
Names = Mapping[tuple[str, str], str]


class Mark(NamedTuple):
    """A moment, in seconds since the epoch, and what had been done since the mark before it."""

    at: float
    done: str


class Event(NamedTuple):
    """One entry of Dagster's event log; `step` is '' where it is of no step."""

    at: float
    run_id: str
    kind: str
    step: str


def seconds_by_phase(began_at: float, marks: Iterable[Mark]) -> dict[str, float]:
    """Return how long each thing took that the marks name, together where it was done several times."""
    seconds: dict[str, float] = {}
    for mark in sorted(marks):
        seconds[mark.done] = seconds.get(mark.done, 0.0) + mark.at - began_at
        began_at = mark.at
    return seconds


def marks_of(events: Iterable[Event], names: Names) -> list[Mark]:
    """Return the events whose kind and step have a name, as marks."""
    return [
        Mark(event.at, names[event.kind, event.step]) for event in events if (event.kind, event.step) in names
    ]


def read_events(home: LiveStack) -> list[Event]:
    """Read Dagster's event log, in its order."""
    with home.connection(DAGSTER_DATABASE_NAME) as connection:
        return [Event(*row) for row in connection.execute(_EVENTS)]
