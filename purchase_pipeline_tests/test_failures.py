"""A reason is printed once, then how long it lasts, then that it is over."""

from io import StringIO
from itertools import count, pairwise

import pytest
from rich.console import Console

from purchase_pipeline.feeds.backlog import FailedRun
from purchase_pipeline.ops.failures import Failures

AWAY = "cannot connect to http://127.0.0.1:8129 (Connection refused)."
IDS = count()


class Screen:
    """What a person sees, at a time that the test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._written = StringIO()
        console = Console(file=self._written, width=80)
        self.failures = Failures(console, clock=lambda: self.seconds)

    def fails(
        self, key: str, reason: str = AWAY, error: str = "ApiUnavailableError", attempt: int = 1
    ) -> list[str]:
        run = FailedRun(f"{next(IDS):08d}-run", key, reason, error, attempt)
        self.failures.failed(run, "next attempt in 10 s", is_retried=True)
        return self.new_lines()

    def new_lines(self) -> list[str]:
        """Return what was printed since the last look, without the ids of runs."""
        text = self._written.getvalue()
        self._written.seek(0)
        self._written.truncate()
        return text.splitlines()


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_a_failure_is_told_with_its_attempt_its_reason_and_when_it_is_tried_again(screen: Screen) -> None:
    headline, reason = screen.fails("lote-0004", attempt=2)

    assert headline.startswith("✗ lote-0004 failed (attempt 2, run ")
    assert headline.endswith("); next attempt in 10 s")
    assert reason == f"  {AWAY}"


def test_an_outage_is_told_once_then_how_long_it_lasts_then_that_it_is_over(screen: Screen) -> None:
    assert len(screen.fails("lote-0001")) == 2
    seen = []
    for screen.seconds, key in ((5, "lote-0002"), (10, "lote-0003"), (16, "lote-0001"), (21, "lote-0002")):
        seen += screen.fails(key)
    screen.seconds = 72

    (reminder,) = seen
    assert reminder == (
        "✗ The API is still unavailable after 16 s: 4 failed runs of lote-0001, lote-0002, lote-0003. "
        "lote-0001: next attempt in 10 s."
    )
    assert screen.failures.loaded("lote-0002") == 2
    assert screen.new_lines() == ["The API is available again after 1 min 12 s."]
    assert screen.failures.loaded("lote-0001") == 2
    assert screen.failures.loaded("lote-0009") == 0
    assert screen.new_lines() == []


def test_an_outage_with_several_reasons_is_over_once(screen: Screen) -> None:
    screen.fails("lote-0001")
    screen.seconds = 10
    screen.fails("lote-0002", "returned 503 Service Unavailable.")
    screen.seconds = 30

    screen.failures.loaded("lote-0002")
    screen.failures.loaded("lote-0001")

    assert screen.new_lines() == ["The API is available again after 30 s."]


def test_reminders_become_rarer(screen: Screen) -> None:
    screen.fails("lote-0001")
    times = []
    for screen.seconds in range(5, 3600, 5):
        if screen.fails("lote-0001"):
            times.append(screen.seconds)

    assert times[:5] == [15, 45, 105, 225, 465]
    assert {later - earlier for earlier, later in pairwise(times[5:])} == {300}


def test_another_reason_is_told_although_the_first_lasts(screen: Screen) -> None:
    screen.fails("lote-0001")

    assert (
        len(screen.fails("lote-0001", "50 of the first 245 rows were rejected.", "TooManyRejectsError")) == 2
    )


def test_a_batch_that_loads_after_a_reason_of_its_own_ends_it_without_a_word(screen: Screen) -> None:
    screen.fails("lote-0001", "too many rejects", "TooManyRejectsError")

    assert screen.failures.loaded("lote-0001") == 1
    assert screen.new_lines() == []
    assert len(screen.fails("lote-0001", "too many rejects", "TooManyRejectsError")) == 2


def test_each_attempt_of_a_batch_that_fails_alone_is_told(screen: Screen) -> None:
    screen.fails("lote-0001", "too many rejects", "TooManyRejectsError")

    (again,) = screen.fails("lote-0001", "too many rejects", "TooManyRejectsError", attempt=2)

    assert again.startswith("✗ lote-0001 failed (attempt 2, run ")
    assert again.endswith(") for the same reason; next attempt in 10 s")


def test_runs_that_are_not_retried_are_each_named(screen: Screen) -> None:
    screen.fails("lote-0001", attempt=0)
    screen.failures.failed(
        FailedRun("run-2", "lote-0002", AWAY), "run `ingest` to retry it", is_retried=False
    )

    assert screen.new_lines() == [
        "✗ lote-0002 failed (run run-2) for the same reason; run `ingest` to retry it"
    ]


def test_a_reason_cannot_pass_for_our_own_output(screen: Screen) -> None:
    lines = screen.fails("lote-0001", "bad\n✓ 9/9  lote-0009\x1b[2J")

    assert lines[1:] == ["  bad", "  ✓ 9/9  lote-0009\\x1b[2J"]
