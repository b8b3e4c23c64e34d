"""A rate limit shared by several workers, and outages of its Redis."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from purchase_pipeline.ingest.rate_limit import SharedRate
from purchase_pipeline.ingest.sources.errors import ApiUnavailableError
from purchase_pipeline_tests.redis_server import RedisServer

API = "http://api:8000"
# A worker that makes requests as fast as the rate allows, and prints their times.
WORKER = """
import sys
from time import time
from purchase_pipeline.ingest.rate_limit import SharedRate
rate = SharedRate("5/2second", sys.argv[1], "http://api:8000")
for _ in range(5):
    rate.wait_for_turn(60)
    print(time())
"""


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    server.wait()
    yield server
    server.kill()


def test_three_workers_together_keep_to_the_rate_in_every_window(redis_server: RedisServer) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, redis_server.url], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    turns = sorted(float(line) for worker in workers for line in worker.communicate()[0].split())

    assert len(turns) == 15
    sixth_after = [later - earlier for earlier, later in zip(turns, turns[5:], strict=False)]
    assert min(sixth_after) > 1.9
    assert turns[-1] - turns[0] < 10


def test_waiting_for_the_rate_times_out(redis_server: RedisServer) -> None:
    rate = SharedRate("1/hour", redis_server.url, API)
    rate.wait_for_turn(1)
    began = monotonic()

    with pytest.raises(
        ApiUnavailableError, match=r"The request rate of 1 per 1 hour allowed no request within 1 s\."
    ):
        rate.wait_for_turn(1)

    assert monotonic() - began < 5
    SharedRate("1/hour", redis_server.url, "http://another:8000").wait_for_turn(1)


def test_an_unavailable_redis_is_transient(redis_server: RedisServer) -> None:
    rate = SharedRate("9/minute", redis_server.url, API)
    redis_server.kill()

    with pytest.raises(ApiUnavailableError, match=r"Redis did not respond .* Check PURCHASE_REDIS_URL"):
        rate.wait_for_turn(1)
