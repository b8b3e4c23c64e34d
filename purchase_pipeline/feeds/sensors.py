"""The sensor that asks for missing lots. It compares and asks; it remembers nothing."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

import dagster as dg

from purchase_pipeline.feeds.backlog import Backlog, lote_of
from purchase_pipeline.feeds.jobs import ingest_lote
from purchase_pipeline.feeds.lost_materializations import look_for_lost
from purchase_pipeline.ingest.ledger import LotLedger
from purchase_pipeline.settings import Settings

_BEAT_SECONDS = 5.0
_FIRST_DELAY_SECONDS = 10.0
_LONGEST_DELAY_SECONDS = 3600.0
_DAY = timedelta(days=1)
# The tenth failure comes an hour and a half after the first: longer than an API or a database is usually away. A lot
# that still fails then fails for a reason of its own, which trying all night does not change.
_MOST_FAILURES_A_DAY = 10
_NAMED_LOTS = 5


def ticks(every_seconds: float) -> tuple[int, int]:
    """Return the sensor's minimum interval, in seconds, and the lots to ask for at a tick.

    Dagster's daemon looks every 5 s whether an interval has passed (measured, 1.13: an interval of 5 gives gaps of 5
    or 10 s, one of 4 gives 4.95 to 5.02), so a slower cadence is met to the next beat, a faster one by several lots.
    """
    if every_seconds < _BEAT_SECONDS:
        return int(_BEAT_SECONDS) - 1, round(_BEAT_SECONDS / every_seconds)
    return int(every_seconds) - 1, 1


def delay_after(failures: int) -> timedelta:
    """Return how long a lot rests after so many failures: 10 s, doubling, to one hour."""
    return timedelta(seconds=min(_FIRST_DELAY_SECONDS * 2.0 ** (failures - 1), _LONGEST_DELAY_SECONDS))


def missing_lots(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that asks for the missing lots."""
    interval, lots_a_tick = ticks(settings.every)

    @dg.sensor(
        name="missing_lots",
        job=ingest_lote,
        minimum_interval_seconds=interval,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(
        context: dg.SensorEvaluationContext, lot_ledger: dg.ResourceParam[LotLedger]
    ) -> dg.SensorResult:
        """Ask for the next lots that are wanted, not loaded, not in flight and not backed_off after a failure.

        A failed lot comes back by itself, a wiped lot is loaded again, and a raised number of lots goes on where it
        stood, because each tick starts from what the database says. Loaded lots that Dagster's catalog has lost are
        reported to it again; the cursor says when to look for such next, and nothing else.
        """
        now = datetime.now(UTC)
        backlog = Backlog(settings.lote_names, lot_ledger, context.instance)
        wanted, not_loaded, in_flight = len(backlog.lots), backlog.missing(), backlog.in_flight()
        missing = [lote for lote in not_loaded if lote not in in_flight]
        backed_off = _backed_off_lots(backlog, now)
        chosen = [lote for lote in missing if lote not in backed_off.all][:lots_a_tick]
        seen = (
            f"{wanted - len(not_loaded)} of {wanted} lots loaded, {len(in_flight)} in flight, {len(missing)} to go"
            f"{backed_off.explained(missing)}"
        )
        context.log.info("%s; asking for %s.", seen, ", ".join(chosen) or "none")
        loaded = set(backlog.lots).difference(not_loaded, in_flight)
        look = look_for_lost(backlog, loaded, context.instance, due=context.cursor, now=now)
        return dg.SensorResult(
            run_requests=[_request(backlog, lote) for lote in chosen],
            skip_reason=None if chosen else f"{seen}.",
            asset_events=look.lost,
            cursor=look.next_look,
        )

    return sensor


class BackedOffLots(NamedTuple):
    """Lots that are not asked for yet: their last failure is too near, or they failed too often within a day."""

    for_a_while: set[str]
    for_a_day: set[str]

    @property
    def all(self) -> set[str]:
        """Both."""
        return self.for_a_while | self.for_a_day

    def explained(self, missing: list[str]) -> str:
        """Say which of the missing lots rest, and what a person can do about those that rest long."""
        long = [lote for lote in missing if lote in self.for_a_day]
        short = len(self.for_a_while & set(missing))
        text = f", of which {short} rest after a failure" if short else ""
        if long:
            more = f" and {len(long) - _NAMED_LOTS} more" if len(long) > _NAMED_LOTS else ""
            text += (
                f"; given up for a day after {_MOST_FAILURES_A_DAY} failures: {', '.join(long[:_NAMED_LOTS])}{more}. "
                "Look at the last run's error; when its cause is gone, materialize the lot by hand or run "
                "`purchase-pipeline ingest`"
            )
        return text


def _request(backlog: Backlog, lote: str) -> dg.RunRequest:
    """Request a run for a lot, under a key that no other attempt has.

    Dagster starts a run key once and never again (dagster #15982), so the attempt is part of it. Its number counts the
    runs that Dagster still knows, which anybody may delete: what makes the key new is drawn here. A tick that a crash
    of the daemon interrupted is resumed with the keys and run ids that it had drawn, so no lot is requested twice.
    """
    attempt = backlog.attempts(lote) + 1
    tags = {"lote": lote, "attempt": str(attempt)}
    return dg.RunRequest(run_key=f"{lote}/{attempt}/{uuid4().hex}", partition_key=lote, tags=tags)


def _backed_off_lots(backlog: Backlog, now: datetime) -> BackedOffLots:
    """Return the lots that rest. Failures of the last day count, save those that Dagster retried by itself.

    A failure that is further ahead than its delay was noted before the clock was set back, and delays nothing.
    """
    failed = backlog.own_failures(since=now - _DAY)
    times = Counter(lote_of(record.dagster_run) for record in failed)
    often = {lote for lote, count in times.items() if count >= _MOST_FAILURES_A_DAY}
    lately = {
        lote
        for record in failed
        if abs(now - record.update_timestamp) < delay_after(times[lote := lote_of(record.dagster_run)])
    }
    return BackedOffLots(lately - often, often)
