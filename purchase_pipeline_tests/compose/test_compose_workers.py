"""Three Celery workers, one of them killed during a batch: COMPOSE_PROFILES=scale."""

import json
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic

import pytest

from purchase_pipeline.settings import DAGSTER_DATABASE_NAME
from purchase_pipeline_tests.compose.stack import ComposeStack, DockerError, docker
from purchase_pipeline_tests.compose.test_compose_stack import COUNTS, LOADED_LOTS

LOTS, ROWS, WORKERS = 30, 10_000, 3
SETTINGS = {
    "COMPOSE_PROFILES": "scale",
    "PURCHASE_LOTS": str(LOTS),
    "PURCHASE_ROWS": str(ROWS),
    "PURCHASE_EVERY": "0.2",
    "MOCK_API_DEFECTS": "0.01",
}
RUNS = """
    SELECT count(*), count(task.value) FROM runs
    LEFT JOIN run_tags task ON task.run_id = runs.run_id AND task.key = 'dagster-celery/task_id'
"""

_SERVICES = ("webserver", "daemon", "worker")
"""With what they depend on, all but pgAdmin."""


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    """The healthy stack with three workers, which has started loading."""
    stack = ComposeStack(tmp_path_factory.mktemp("scale"), SETTINGS, name="purchase-pipeline-scale-test")
    stack.compose("down", "--volumes", "--remove-orphans")  # left over from a killed test
    try:
        began = monotonic()
        scale = ("--scale", f"worker={WORKERS}")
        stack.compose("up", "--detach", "--build", "--wait", *scale, *_SERVICES)
        print(
            f"\ndocker compose up --detach --build --wait --scale worker={WORKERS}: {monotonic() - began:.1f} s"
        )
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans")


def busy_workers(stack: ComposeStack) -> list[str]:
    """Return the containers of the workers that report a run."""
    command = 'exec celery --broker "$PURCHASE_REDIS_URL" inspect active --json --timeout 2'
    with suppress(DockerError):  # this container may be the killed one
        answers = stack.compose("exec", "-T", "worker", "sh", "-c", command)
        found = json.loads(next(line for line in answers.splitlines() if line.startswith("{")))
        return [name.partition("@")[2] for name, tasks in found.items() if tasks]
    return []


def test_another_worker_loads_the_batch_of_a_killed_one_with_exact_counts(scaled: ComposeStack) -> None:
    began = monotonic()
    scaled.wait_until(lambda: scaled.number(LOADED_LOTS) >= LOTS // 5, "a fifth of the lots", 120)

    struck = next(filter(None, (busy_workers(scaled) for _ in range(30))))[0]
    with suppress(DockerError):  # the shell is killed with the container
        docker("exec", struck, "sh", "-c", "kill -9 -1")
    killed_at = scaled.number(LOADED_LOTS)
    scaled.wait_until(lambda: scaled.number(LOADED_LOTS) >= LOTS, "the last lot", 300)
    seconds = monotonic() - began

    counts = scaled.sql(COUNTS)
    verified = scaled.compose("exec", "-T", "code_server", "purchase-pipeline", "verify")
    runs, tasks = map(int, scaled.sql(RUNS, database=DAGSTER_DATABASE_NAME).split("|"))
    print(
        f"\n{struck} killed at {killed_at} lots; {LOTS} lots in {seconds:.1f} s; {tasks} of {runs} runs were tasks"
    )
    print(f"{counts}\n{verified}")
    assert counts == f"{LOTS * ROWS}|{LOTS * ROWS}|{LOTS}"
    assert "no difference" in verified
    assert tasks >= LOTS
    assert scaled.restarts("worker") == 1


def test_all_services_are_healthy_again(scaled: ComposeStack) -> None:
    scaled.wait_until(lambda: set(scaled.health().values()) == {"healthy"}, "all healthy", 120)

    assert len(scaled.containers("worker")) == WORKERS


def test_the_flag_without_the_variable_is_refused(scaled: ComposeStack) -> None:
    with pytest.raises(DockerError, match="Set COMPOSE_PROFILES=scale"):
        scaled.compose("run", "--rm", "--no-deps", "-T", "-e", "PROFILE=local", "worker")
