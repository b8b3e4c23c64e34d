"""Detection of a clock that was set back, after which Dagster's daemon waits until the old time is reached again.

Its sensors compare the time with their last tick, which is stored; its other loops with their start, in memory.
"""

from collections.abc import Callable
from time import monotonic, time

import dagster as dg

from purchase_pipeline.stack.dagster_internals import InstigatorState, SensorInstigatorData

_TOLERANCE_SECONDS = 5.0  # NTP corrects less than this routinely; it delays one tick at most


class ClockWatch:
    """Compares the system clock with the monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._offset = clock() - monotonic()

    def seconds_back(self) -> float:
        """Return by how many seconds the clock was set back and not accepted since; else 0."""
        offset = self._clock() - monotonic()
        self._offset = max(self._offset, offset)
        back = self._offset - offset
        return back if back > _TOLERANCE_SECONDS else 0.0

    def accept(self) -> None:
        """Accept the current time."""
        self._offset = self._clock() - monotonic()


def seconds_ahead(instance: dg.DagsterInstance) -> float:
    """Return by how many seconds the newest sensor tick is in the future; else 0."""
    ahead = max((_last_tick(data) for _, data in _sensors(instance)), default=0.0) - time()
    return ahead if ahead > _TOLERANCE_SECONDS else 0.0


def forget_future_ticks(instance: dg.DagsterInstance) -> None:
    """Reset sensor ticks in the future to now, so that the sensors tick again. No daemon may be running."""
    now = time()
    for state, data in _sensors(instance):
        if _last_tick(data) > now:
            moments = ("last_tick_timestamp", "last_tick_start_timestamp", "last_sensor_start_timestamp")
            known = {name: moment for name in moments if (moment := getattr(data, name)) is not None}
            past = {name: min(moment, now) for name, moment in known.items()}
            instance.update_instigator_state(state.with_data(data._replace(**past)))


def _sensors(instance: dg.DagsterInstance) -> list[tuple[InstigatorState, SensorInstigatorData]]:
    states = [(state, state.instigator_data) for state in instance.all_instigator_state()]
    return [(state, data) for state, data in states if isinstance(data, SensorInstigatorData)]


def _last_tick(data: SensorInstigatorData) -> float:
    return max(data.last_tick_timestamp or 0.0, data.last_tick_start_timestamp or 0.0)
