"""How the benchmark of `up` evaluates ticks, and the worker of the first version."""

import httpx

from benchmarks.cadence import first_asked, percentile_95
from benchmarks.peers.original_api import create_app
from benchmarks.peers.original_worker import Purchase
from purchase_pipeline_tests.serving import served


def test_a_batch_waits_from_the_first_tick_that_requested_it() -> None:
    asks = [(20.0, ["lote-0001/2"]), (10.0, ["lote-0001/1", "lote-0002/1"])]

    assert first_asked(asks) == {"lote-0001": 10.0, "lote-0002": 10.0}


def test_one_value_in_twenty_exceeds_the_95th_percentile() -> None:
    values = [float(value) for value in range(1, 101)]

    assert sum(value > percentile_95(values) for value in values) == 5


def test_the_first_versions_worker_accepts_its_api() -> None:
    with served(create_app()) as url:
        rows = httpx.get(f"{url}/gerar_compra/20").json()

    assert len(rows) == 20
    assert [Purchase(**row).model_dump(mode="json") for row in rows] == rows
