"""A clock that was set back does not stop sensors or retries."""

from collections.abc import Iterator
from io import StringIO
from time import time

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
)
from rich.console import Console

from purchase_pipeline.ops.status import Status, print_status
from purchase_pipeline.stack.clock import ClockWatch, forget_future_ticks, seconds_ahead

A_DAY = 86_400.0


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An empty Dagster instance."""
    with dg.instance_for_test() as instance:
        yield instance


def ticked(instance: dg.DagsterInstance, name: str, moment: float) -> None:
    """Set the last tick of a sensor."""
    location = GrpcServerCodeLocationOrigin(host="localhost", port=1, location_name="nowhere")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "here"), name)
    data = SensorInstigatorData(
        last_tick_timestamp=moment,
        last_tick_start_timestamp=moment,
        last_sensor_start_timestamp=time() - A_DAY,
        last_run_key="lote-0001/1",
        cursor="as far as here",
    )
    instance.add_instigator_state(
        InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, data)
    )


def data_of(instance: dg.DagsterInstance) -> dict[str, SensorInstigatorData]:
    return {
        state.name: state.instigator_data
        for state in instance.all_instigator_state()
        if isinstance(state.instigator_data, SensorInstigatorData)
    }


def test_a_future_tick_is_reset_and_other_state_is_kept(instance: dg.DagsterInstance) -> None:
    began = time()
    ticked(instance, "of_tomorrow", began + A_DAY)
    ticked(instance, "of_a_minute_ago", began - 60)
    before = data_of(instance)
    assert seconds_ahead(instance) == pytest.approx(A_DAY, abs=5)

    forget_future_ticks(instance)

    after = data_of(instance)
    assert seconds_ahead(instance) == 0
    assert after["of_a_minute_ago"] == before["of_a_minute_ago"]
    assert began <= (after["of_tomorrow"].last_tick_timestamp or 0) <= time()
    assert after["of_tomorrow"].cursor == "as far as here"
    assert (
        after["of_tomorrow"].last_sensor_start_timestamp == before["of_tomorrow"].last_sensor_start_timestamp
    )


def test_status_shows_how_long_the_sensor_waits() -> None:
    printed = StringIO()
    console = Console(file=printed, width=80)
    status = Status(
        wanted=3,
        loaded=0,
        beyond_target=[],
        failed=[],
        in_flight=[],
        rows_received=0,
        rows_loaded=0,
        rows_rejected=0,
        conserved=True,
        clock_behind_seconds=A_DAY,
        lots=[],
    )

    print_status(status, console)
    print_status(status.model_copy(update={"clock_behind_seconds": 0.0}), console)

    assert printed.getvalue().count("The clock is 86,400 s behind the sensor's last tick: no batch is") == 1


@pytest.mark.parametrize(
    ("moves", "reported"),
    [
        ([-600.0], 600.0),
        ([-A_DAY], A_DAY),
        ([A_DAY], 0.0),
        ([A_DAY, -A_DAY], A_DAY),
        ([-1.0], 0.0),
    ],
)
def test_a_clock_set_back_is_reported_until_accepted(moves: list[float], reported: float) -> None:
    moved = [0.0]
    watch = ClockWatch(lambda: time() + sum(moved))

    for move in moves:
        moved.append(move)
        watch.seconds_back()

    assert [watch.seconds_back(), watch.seconds_back()] == pytest.approx([reported, reported], abs=1)
    watch.accept()
    assert watch.seconds_back() == 0
