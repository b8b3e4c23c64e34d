"""Dagster's own commands work on the pipeline, with only the API running."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from mock_api.app import create_app
from purchase_pipeline_tests.forked_commands import forked
from purchase_pipeline_tests.serving import served

pytestmark = pytest.mark.proof

PROJECT = Path(__file__).parent.parent
MODULE = ["-m", "purchase_pipeline.definitions"]
PARTITION = '{"dagster/partition": "lote-0002"}'


@pytest.fixture(scope="module")
def api_url() -> Iterator[str]:
    """The mock API."""
    with served(create_app()) as url:
        yield url


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name(command[0])
    return subprocess.run(
        [forked(program), *command[1:]],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        ["dagster", "definitions", "validate"],
        ["dagster", "definitions", "validate", *MODULE],
        ["dagster", "definitions", "validate", "-w", "workspace.yaml"],
        ["dg", "check", "defs"],
    ],
    ids=" ".join,
)
def test_the_definitions_are_valid_to(command: list[str], tmp_path: Path) -> None:
    done = run(command, PURCHASE_HOME=str(tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == [], "loading the definitions must not write files"


@pytest.mark.parametrize(
    "command",
    [
        ["dagster", "job", "execute", *MODULE, "-j", "ingest_lote", "--tags", PARTITION],
        ["dagster", "asset", "materialize", *MODULE, "--select", "*", "--partition", "lote-0002"],
        ["dg", "launch", "--assets", "*", "--partition", "lote-0002"],
        ["dg", "launch", "--job", "ingest_lote", "--partition", "lote-0002"],
    ],
    ids=lambda command: " ".join(command[:3]),
)
def test_a_lot_is_loaded_by(
    command: list[str], api_url: str, database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    environment = {
        "DATABASE_URL": database_url,
        "PURCHASE_API_URL": api_url,
        "PURCHASE_HOME": str(tmp_path),
        "PURCHASE_ROWS": "500",
    }

    done = run(command, **environment)

    assert done.returncode == 0, done.stdout + done.stderr
    with engine.connect() as connection:
        found = connection.execute(
            sa.text("SELECT lote, count(*), max(linha) FROM tabela_compras GROUP BY 1")
        )
        assert [tuple(row) for row in found] == [("lote-0002", 500, 500)]
