"""One stack for all tests of this folder, started before the first and removed after the last."""

import os
import subprocess
from collections.abc import Iterator
from time import monotonic

import pytest

from purchase_pipeline_tests.compose.stack import ComposeStack, DockerError, docker

SETTINGS = {
    "PURCHASE_LOTS": "18",  # so that some are left for the last container to kill, on a busy machine
    "PURCHASE_ROWS": "10000",
    "PURCHASE_EVERY": "5",
    "MOCK_API_DEFECTS": "0.01",
    # Characters that are special to .env, Compose, psql, libpq's files or pgAdmin.
    "POSTGRES_PASSWORD": 'po"st=$g # %',
    "LOADER_PASSWORD": "lo$ad#er @x",
    "READER_PASSWORD": "re/ad?er &y",
    "DAGSTER_PASSWORD": "dag%ster&",
    "PGADMIN_PASSWORD": "pg$admin #1",
}


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    """Skip without Docker Engine or Compose; in CI that is an error."""
    try:
        docker("info")
        docker("compose", "version")
    except (OSError, DockerError, subprocess.TimeoutExpired) as error:
        if "CI" in os.environ:
            raise
        pytest.skip(f"needs a Docker Engine that answers, and Compose v2: {error}")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    """The healthy stack, which has started loading."""
    stack = ComposeStack(tmp_path_factory.mktemp("compose"), SETTINGS)
    stack.compose("down", "--volumes", "--remove-orphans")  # left over from a killed test
    try:
        began = monotonic()
        stack.compose("up", "--detach", "--build", "--wait")
        print(f"\ndocker compose up --detach --build --wait: {monotonic() - began:.1f} s")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans")
