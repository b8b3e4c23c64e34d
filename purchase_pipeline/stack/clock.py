"""A clock that was set back. Dagster's daemon then waits for a time that it has seen already: a day, if it was a day.

Its sensors compare now with their last tick, which is stored; its other loops with when they began, in its memory.
"""

from collections.abc import Callable
from time import monotonic, time

import dagster as dg

from purchase_pipeline.stack.dagster_internals import InstigatorState, SensorInstigatorData

_NOTICED_SECONDS = 5.0  # less is what NTP corrects as a matter of course, and no more than a tick late


class ClockWatch:
    """Compares the clock with one that nobody can set."""

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._offset = clock() - monotonic()

    def seconds_back(self) -> float:
        """Return how far the clock was set back, until that is accepted; 0: it was not, or forward."""
        offset = self._clock() - monotonic()
        self._offset = max(self._offset, offset)
        back = self._offset - offset
        return back if back > _NOTICED_SECONDS else 0.0

    def accept(self) -> None:
        """Take the clock as it is."""
        self._offset = self._clock() - monotonic()


def seconds_ahead(instance: dg.DagsterInstance) -> float:
    """Return how far the newest tick of a sensor is ahead of the clock; 0: none is."""
    ahead = max((_last_tick(data) for _, data in _sensors(instance)), default=0.0) - time()
    return ahead if ahead > _NOTICED_SECONDS else 0.0


def forget_future_ticks(instance: dg.DagsterInstance) -> None:
    """Let each sensor whose last tick is ahead of the clock tick again at once. No daemon may run meanwhile."""
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
