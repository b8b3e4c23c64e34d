"""How the benchmarks of whole commands evaluate events, titles and samples; and the first version's worker."""

import httpx
import pytest

from benchmarks.lot_waits import first_requested, percentile_95, phases_of_lot
from benchmarks.peers.original_api import create_app
from benchmarks.peers.original_worker import Purchase
from benchmarks.stack_usage import Usage, core_shares, is_part, kind_of
from benchmarks.timeline import Event, Mark, marks_of, seconds_by_phase
from purchase_pipeline_tests.serving import served


def test_phases_sum_to_the_total_in_any_order_of_marks() -> None:
    marks = [Mark(14.0, "load"), Mark(11.0, "start"), Mark(12.5, "load"), Mark(20.0, "stop")]

    assert seconds_by_phase(10.0, marks) == {"start": 1.0, "load": 3.0, "stop": 6.0}


def test_repeated_phases_are_summed() -> None:
    marks = [Mark(1.0, "fetch"), Mark(3.0, "load"), Mark(4.0, "fetch"), Mark(8.0, "load")]

    assert seconds_by_phase(0.0, marks) == {"fetch": 2.0, "load": 6.0}


def test_only_named_events_are_marks() -> None:
    events = [Event(1.0, "a", "STEP_START", "raw"), Event(2.0, "a", "STEP_OUTPUT", "raw")]

    assert marks_of(events, {("STEP_OUTPUT", "raw"): "fetch"}) == [Mark(2.0, "fetch")]


def test_a_batch_waits_from_the_first_tick_that_requested_it() -> None:
    asks = [(20.0, ["lote-0001/2"]), (10.0, ["lote-0001/1", "lote-0002/1"])]

    assert first_requested(asks) == {"lote-0001": 10.0, "lote-0002": 10.0}


def test_the_phases_of_a_batch_end_with_its_commit() -> None:
    events = [
        Event(100.5, "a", "PIPELINE_ENQUEUED", ""),
        Event(101.0, "a", "PIPELINE_STARTING", ""),
        Event(103.0, "a", "STEP_START", "raw_purchases"),
        Event(103.25, "a", "STEP_OUTPUT", "raw_purchases"),
        Event(105.0, "a", "PIPELINE_SUCCESS", ""),
    ]

    assert phases_of_lot(100.0, events, committed_at=104.0) == {
        "sensor evaluates and requests": 0.5,
        "run waits in the queue": 0.5,
        "run process starts and imports": 2.0,
        "fetch": 0.25,
        "events, validation, COPY, commit": 0.75,
    }


def test_one_value_in_twenty_exceeds_the_95th_percentile() -> None:
    values = [float(value) for value in range(1, 101)]

    assert sum(value > percentile_95(values) for value in values) == 5


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("bin/postgres -D data -c cluster_name=purchase-pipeline-0d8a", "postmaster"),
        ("postgres: purchase-pipeline-0d8a: checkpointer ", "checkpointer"),
        ("postgres: purchase-pipeline-0d8a: io worker 1", "io worker"),
        ("postgres: purchase-pipeline-0d8a: dagster dagster [local] idle", "connection of dagster"),
        ("postgres: purchase-pipeline-0d8a: dagster dagster [local] INSERT", "connection of dagster"),
    ],
)
def test_a_postgresql_process_is_identified_by_its_title(title: str, kind: str) -> None:
    assert kind_of(title) == kind


def test_cpu_usage_is_of_processes_in_both_samples() -> None:
    before = {"daemon": Usage(1, 10.0, 0, 0), "ended": Usage(1, 1.0, 0, 0)}
    after = {"daemon": Usage(1, 13.0, 0, 0), "new": Usage(1, 1.0, 0, 0)}

    assert core_shares(before, after, seconds=60) == {"daemon": 5.0}


def test_postgresql_is_counted_once() -> None:
    assert is_part("PostgreSQL's checkpointer")
    assert not is_part("PostgreSQL")


def test_the_first_versions_worker_accepts_its_api() -> None:
    with served(create_app()) as url:
        rows = httpx.get(f"{url}/gerar_compra/20").json()

    assert len(rows) == 20
    assert [Purchase(**row).model_dump(mode="json") for row in rows] == rows
