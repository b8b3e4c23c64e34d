"""Runs every command of every page, in order, in a new clone."""

import ast
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator
from configparser import RawConfigParser
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from time import monotonic

import pytest
import yaml

from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline_tests.documents import (
    PAGES,
    PROJECT,
    READMES,
    SHOWN,
    TRANSLATIONS,
    Block,
    blocks_of,
    commands_of,
    name_of,
)
from purchase_pipeline_tests.newcomer import Newcomer
from purchase_pipeline_tests.person import copy_home

pytestmark = pytest.mark.proof

# Commands that cannot be run here, and the file that runs them or checks their outcome.
ELSEWHERE = {
    r"^COMPOSE_PROFILES=scale ": "purchase_pipeline_tests/compose/test_compose_workers.py",
    r"^docker compose (up|down|exec|logs)\b": "purchase_pipeline_tests/compose/test_compose_stack.py",
    r"^make (test|lint|compose-test)\b": ".ci/run",
    r"^make (lock|audit)\b": "purchase_pipeline_tests/test_house.py",
    r"^make release\b": "purchase_pipeline_tests/test_wheel.py",
    r"^make bench\b|-m benchmarks\b": "purchase_pipeline_tests/test_benchmarks.py",
    r"^make resilience\b|-m resilience drills (?!--list)": "purchase_pipeline_tests/test_drills.py",
    r"-m resilience hosts ": "purchase_pipeline_tests/test_hosts.py",
    r"^dagster instance concurrency set ": "purchase_pipeline_tests/test_pools.py",
    r"^PURCHASE_METRICS_PORT=": "purchase_pipeline_tests/test_monitoring.py",
    r"promtool test rules|^prometheus ": "purchase_pipeline_tests/test_metrics.py",
    r"^git clone ": "purchase_pipeline_tests/newcomer.py",
    r" -f first\.py |'TABLE sales'": "purchase_pipeline_tests/test_postgres_documentation.py",
    r"--conformance-json=|-m io_manager_conformance ": "purchase_pipeline_tests/test_conformance_documentation.py",
    r"^peers/bin/pip |//scratch:secret@": "io_manager_conformance/peers/test_community.py",
    r"^python3 -m venv |^pip install ": ".ci/run",
    r"^uvx |^uv add|^cd demo|^sed -i\.bak|^dg |-m demo\.definitions ": "purchase_pipeline_tests/test_feed_component.py",
    r"s3://|s3\.example\.com": "purchase_pipeline_tests/test_landing_s3.py",
    r"https://api\.example\.com": "purchase_pipeline_tests/test_cli.py",
    r"library\.example|-m loans (ingest|replay)": "purchase_pipeline_tests/test_documented_feeds.py",
}
READ: dict[str, Callable[[str], object]] = {
    "python": lambda text: ast.parse(dedent(text)),
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    "json": json.loads,
    "ini": lambda text: RawConfigParser().read_string(text),
    "nginx": lambda text: shlex.split(text, comments=True),  # test_login.py lets nginx read it
}
RUN = {"bash", "console", "sql"}

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
# Pages for users without any data; all other pages assume loaded batches.
FIRST_STEPS = [
    READMES[0],
    *(
        PROJECT / "docs" / name
        for name in ("getting-started.md", "postgres-io-manager.md", "your-own-api.md")
    ),
]


# Pages with user code, which may depend on the Python version.
OF_COMPATIBILITY = {"docs/postgres-io-manager.md"}


def is_run_elsewhere(command: str) -> bool:
    return any(re.search(pattern, command) for pattern in ELSEWHERE)


def to_run(block: Block) -> list[str]:
    """Return the commands of a block that are run here; of a translated page, those that its original lacks."""
    original = TRANSLATIONS.get(block.page)
    ran = {command for one in (blocks_of(original) if original else []) for command in commands_of(one)}
    return [command for command in commands_of(block) if not is_run_elsewhere(command) and command not in ran]


@contextmanager
def newcomer_in(folder: Path) -> Iterator[Newcomer]:
    newcomer = Newcomer(folder)
    try:
        yield newcomer
    finally:
        newcomer.types("purchase-pipeline reset --yes")
        shutil.rmtree(newcomer.clone)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each clone is, whose commands one process can fork then."""
    return tmp_path_factory.mktemp("newcomer")


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Path:
    """A home of loaded batches."""
    home = folder / "loaded"
    with newcomer_in(folder) as newcomer:
        newcomer.types("purchase-pipeline ingest --defects 0.02")
        newcomer.leaves()
        copy_home(newcomer.clone / ".purchase", home)
    return home


@pytest.fixture
def reader(page: Path, folder: Path, loaded: Path) -> Iterator[Newcomer]:
    """A user with the prerequisites of a page, in a new clone: pages may be read in any order."""
    with newcomer_in(folder) as newcomer:
        if page not in FIRST_STEPS:
            copy_home(loaded, newcomer.clone / ".purchase")
            # Else each command starts it, and stops it: a fifth of the command's CPU time.
            EmbeddedPostgres(newcomer.clone / ".purchase" / "postgres").start()
        yield newcomer
        newcomer.leaves()


def marked(page: Path) -> object:
    return pytest.param(page, marks=pytest.mark.compatibility if name_of(page) in OF_COMPATIBILITY else ())


@pytest.mark.parametrize(
    "page", [marked(page) for page in PAGES if any(map(to_run, blocks_of(page)))], ids=name_of
)
def test_every_command_of(page: Path, reader: Newcomer) -> None:
    for block in blocks_of(page):
        if block.file:
            reader.saves(block.file, block.text)
        for command in to_run(block):
            begun = monotonic()
            reader.types(command)
            print(f"{monotonic() - begun:5.1f} s  {block}  {command}")


def test_every_exception_is_needed_and_is_run_elsewhere() -> None:
    commands = [command for block in BLOCKS for command in commands_of(block)]

    assert {pattern for pattern in ELSEWHERE if not any(re.search(pattern, one) for one in commands)} == set()
    assert {place for place in ELSEWHERE.values() if not (PROJECT / place).exists()} == set()


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_is_of_a_language_that_is_run_or_read(block: Block) -> None:
    assert block.language in READ.keys() | SHOWN | RUN
    if block.language in READ:
        READ[block.language](block.text)
