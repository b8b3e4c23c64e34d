"""The sensor that asks for missing lots. It compares and asks; it remembers nothing."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import PARTITION_NAME_TAG

from purchase_pipeline.jobs import ingest_lote
from purchase_pipeline.lot_ledger import LotLedger
from purchase_pipeline.lots import lotes
from purchase_pipeline.settings import current_settings

_BEAT_SECONDS = 5.0
_FIRST_DELAY_SECONDS = 10.0
_LONGEST_DELAY_SECONDS = 3600.0


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


_INTERVAL_SECONDS, _LOTS_A_TICK = ticks(current_settings().every)


@dg.sensor(
    job=ingest_lote,
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def missing_lots(
    context: dg.SensorEvaluationContext, lot_ledger: dg.ResourceParam[LotLedger]
) -> dg.SensorResult:
    """Ask for the next lots that are wanted, not loaded, not in flight and not resting after a failure.

    A failed lot comes back by itself, a wiped lot is loaded again, and a raised number of lots goes on where it
    stood, because each tick starts from what the database says.
    """
    instance = context.instance
    wanted = lotes.get_partition_keys()
    loaded = lot_ledger.loaded_lots().keys()
    in_flight = _lots_of(instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)))
    resting = _resting_lots(instance, datetime.now(UTC))
    missing = [lote for lote in wanted if lote not in loaded and lote not in in_flight]
    chosen = [lote for lote in missing if lote not in resting][:_LOTS_A_TICK]
    seen = (
        f"{len(loaded & set(wanted))} of {len(wanted)} lots loaded, {len(in_flight)} in flight, {len(missing)} to go"
        + (f", of which {len(resting & set(missing))} rest after a failure" if resting else "")
    )
    context.log.info("%s; asking for %s.", seen, ", ".join(chosen) or "none")
    return dg.SensorResult(
        run_requests=[_request(instance, lote) for lote in chosen],
        skip_reason=None if chosen else f"{seen}.",
    )


def _request(instance: dg.DagsterInstance, lote: str) -> dg.RunRequest:
    """Ask for a lot. Dagster starts a run key once and never again (dagster #15982), so the attempt is part of it."""
    attempt = instance.get_runs_count(dg.RunsFilter(tags={PARTITION_NAME_TAG: lote})) + 1
    return dg.RunRequest(run_key=f"{lote}/{attempt}", partition_key=lote)


def _resting_lots(instance: dg.DagsterInstance, now: datetime) -> set[str]:
    """Return the lots whose last failure is too near. Failures of the last day count."""
    failed = instance.get_run_records(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED],
            updated_after=now - timedelta(days=1),
        )
    )
    failures = Counter(record.dagster_run.tags.get(PARTITION_NAME_TAG, "") for record in failed)
    return {
        lote
        for record in failed
        if (lote := record.dagster_run.tags.get(PARTITION_NAME_TAG))
        and record.update_timestamp + delay_after(failures[lote]) > now
    }


def _lots_of(runs: Iterable[dg.DagsterRun]) -> set[str]:
    return {run.tags[PARTITION_NAME_TAG] for run in runs if PARTITION_NAME_TAG in run.tags}
