"""Incidents: batches that fail for one kind of error, and what is announced of them.

A channel gets an alert when batches begin to fail, when some of them are given up, and when all of them are loaded.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel

from purchase_pipeline.feeds.alerts.channels import Alert
from purchase_pipeline.feeds.backlog import FailedRun
from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.feeds.failing import Failing
from purchase_pipeline.ingest.printable import duration, few, in_brief, quantity

_GIVEN_UP = (
    "Not tried again for a day. Fix the cause, then materialize the batch in the UI or run "
    "`purchase-pipeline ingest`."
)
_RETRIED = "Tried again by itself, at most once an hour. A message follows if it is given up, and when all is loaded."
_BY_SCHEDULE = "Tried again at the next time of its schedule, or by a run of its job in the UI."


class Incident(BaseModel):
    """Batches that fail for one kind of error, announced to a channel."""

    partitions: list[str]
    since: datetime
    given_up: bool = False


Announced = dict[str, Incident]
"""The incidents announced to a channel, by the class of their error."""


class Change(NamedTuple):
    """What is new of an incident: the alert, if it is worth one, and the incident after it; None if it has ended."""

    error: str
    incident: Incident | None
    alert: Alert | None


def changes(announced: Announced, failing: Failing, ui_url: str | None) -> Iterator[Change]:
    """Yield what has changed since a channel got an alert."""
    known = [key for incident in announced.values() for key in incident.partitions]
    for error, incident in list(announced.items()):
        yield from _change_of(error, incident, failing, ui_url)
    for error, (incident, run) in _begun(failing, known).items():
        if error in announced:  # still there after the changes above
            joined = [*announced[error].partitions, *incident.partitions]
            yield Change(error, announced[error].model_copy(update={"partitions": joined}), None)
        else:
            yield Change(error, incident, _failing_alert(error, incident, run, failing, ui_url))


def _change_of(error: str, incident: Incident, failing: Failing, ui_url: str | None) -> Iterator[Change]:
    ended = failing.ended(incident.partitions, incident.since)
    if ended == set(incident.partitions):
        yield Change(error, None, _resolved_alert(error, incident, failing))
        return
    given_up = [key for key in incident.partitions if key in failing.given_up]
    if given_up and not incident.given_up:
        after = incident.model_copy(update={"given_up": True})
        shown = after.model_copy(update={"partitions": given_up})
        run = failing.explain(given_up[-1])
        yield Change(error, after, _failing_alert(error, shown, run, failing, ui_url))


def _begun(failing: Failing, known: list[str]) -> Mapping[str, tuple[Incident, FailedRun]]:
    """Return incidents of batches that no incident has yet, each with a run that failed."""
    found: dict[str, tuple[Incident, FailedRun]] = {}
    for key, since, run in failing.persistent(known):
        incident, _ = found.setdefault(run.error, (Incident(partitions=[], since=since), run))
        incident.partitions.append(key)
        incident.since = min(incident.since, since)
        incident.given_up |= key in failing.given_up
    return found


def _failing_alert(
    error: str, incident: Incident, run: FailedRun, failing: Failing, ui_url: str | None
) -> Alert:
    lasted = _lasted(incident, failing)
    if failing.feed.partitions is None:
        title, outlook = f"{_what(failing.feed, incident)} failed", _BY_SCHEDULE
    elif incident.given_up:
        title, outlook = f"{_what(failing.feed, incident)} given up after {lasted}", _GIVEN_UP
    else:
        title, outlook = f"{_what(failing.feed, incident)} failing for {lasted}", _RETRIED
    link = [] if ui_url is None else [f"{ui_url.rstrip('/')}/runs/{run.run_id}"]
    return _alert("failing", title, [in_brief(run.reason), outlook, *link], error, incident, failing.feed)


def _resolved_alert(error: str, incident: Incident, failing: Failing) -> Alert:
    lasted = _lasted(incident, failing)
    title = f"{_what(failing.feed, incident)} resolved after {lasted}"
    return _alert("resolved", title, [], error, incident, failing.feed)


def _alert(  # noqa: PLR0913, PLR0917  (one a part of the message)
    status: Literal["failing", "resolved"],
    title: str,
    more: list[str],
    error: str,
    incident: Incident,
    feed: FeedDeclaration,
) -> Alert:
    return Alert(
        feed=feed.name,
        status=status,
        title=title,
        text="\n".join([title, *more]),
        error=error,
        partitions=incident.partitions,
        since=incident.since.isoformat(timespec="seconds"),
    )


def _what(feed: FeedDeclaration, incident: Incident) -> str:
    if feed.partitions is None:
        return f"{feed.name}: load"
    return f"{feed.name}: {quantity(len(incident.partitions), 'batch')} ({few(incident.partitions)})"


def _lasted(incident: Incident, failing: Failing) -> str:
    return duration(60 * round((failing.now - incident.since).total_seconds() / 60))
