"""The sensor of alerts: compares what fails with what was announced to each channel, and announces the difference.

Dagster's own sensors of failed runs would send a message for each run, fifty while an API is away, and none when it is
back. The cursor has what was announced to each channel. A message that was not delivered is not in it, and sent again.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg
from pydantic import TypeAdapter

from purchase_pipeline.feeds.alerts.channels import Deliver, UndeliveredAlertError, channels
from purchase_pipeline.feeds.alerts.incidents import Announced, Change, changes
from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.feeds.failing import Failing
from purchase_pipeline.settings import Settings

_INTERVAL_SECONDS = 29  # evaluated every 30 s: the daemon looks every 5 s
_DESCRIPTION = """\
Sends an alert when batches keep failing, when they are given up, and when all of them are loaded.

The cursor has what was announced to each channel. A message that a channel did not take is sent again.
"""
_CURSOR = TypeAdapter(dict[str, Announced])


def _now() -> datetime:
    return datetime.now(UTC)


def alert_sensors(
    feed: FeedDeclaration, settings: Settings, clock: Callable[[], datetime] = _now
) -> list[dg.SensorDefinition]:
    """Return the sensor of a feed's alerts; none if no channel is switched on."""
    switched_on = channels(settings)
    if not switched_on:
        return []

    @dg.sensor(
        name=f"alerts_{feed.name}",
        description=_DESCRIPTION,
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={feed.ledger_key},
    )
    # Called directly, as in tests, Dagster also passes the resources by name.
    def sensor(context: dg.SensorEvaluationContext, **_: object) -> dg.SensorResult:
        backlog = Backlog(feed, getattr(context.resources, feed.ledger_key), context.instance)
        failing = Failing(backlog, clock())
        announced = {name: Announced() for name in switched_on} | _CURSOR.validate_json(
            context.cursor or "{}"
        )
        problems = [
            problem
            for name, deliver in switched_on.items()
            if (problem := _announce(deliver, announced[name], failing, settings.ui_url))
        ]
        for problem in problems:  # an error would lose the cursor, and repeat what was delivered
            context.log.error("%s The alert is sent again in 30 s.", problem)
        open_incidents = {error for name in switched_on for error in announced[name]}
        summary = f"{len(failing.runs)} failing, {len(open_incidents)} announced."
        cursor = _CURSOR.dump_json({name: announced[name] for name in switched_on}).decode()
        return dg.SensorResult(skip_reason=" ".join([*problems, summary]), cursor=cursor)

    return [sensor]


def _announce(deliver: Deliver, announced: Announced, failing: Failing, ui_url: str | None) -> str | None:
    """Deliver what a channel does not know, and note it; return why that failed, or None."""
    try:
        for change in changes(announced, failing, ui_url):
            if change.alert is not None:
                deliver(change.alert)
            _note(change, announced)
    except UndeliveredAlertError as error:
        return str(error)
    return None


def _note(change: Change, announced: Announced) -> None:
    if change.incident is None:
        del announced[change.error]
    else:
        announced[change.error] = change.incident
