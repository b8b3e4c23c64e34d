"""What the tests share: a PostgreSQL server for the whole run, and a database for each test."""

import gc
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from pydantic import SecretStr

from purchase_pipeline.cli.outcome import STOPPING
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.settings import Settings, current_settings
from purchase_pipeline.stack.dagster_instance import open_instance
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline_tests import leftovers
from purchase_pipeline_tests.databases import Databases
from purchase_pipeline_tests.person import Person, copy_home

# Test modules build definitions from the environment at import, before any fixture runs: so it is cleared here.
for _name in [name for name in os.environ if name.startswith(("PURCHASE_", "DAGSTER_"))]:
    del os.environ[_name]
os.environ.pop("DATABASE_URL", None)
os.environ["PURCHASE_LOTS"] = "3"
os.environ["PURCHASE_HOME"] = str(Path(tempfile.gettempdir()) / "purchase-pipeline-tests-have-no-home")

# A shell that runs the tests in the background ignores Ctrl-C for them; Dagster, run in this process, would copy that
# to SIGTERM, and every process that a test starts would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Garbage collections need not look at what is imported, which stays: it is most of what there is.
gc.disable()


def pytest_collection_finish() -> None:
    """Make Dagster cheaper, and leave what was imported out of garbage collection."""
    # Imports Dagster, which the process that only distributes tests does not need.
    from purchase_pipeline_tests.in_memory_dagster import make_cheaper  # noqa: PLC0415

    make_cheaper()
    gc.freeze()
    gc.set_threshold(20_000)  # the default is 3 % of the tests' CPU time
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the cleanup of interrupted runs, before a worker starts."""
    if not hasattr(session.config, "workerinput"):
        leftovers.begin()


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run short tests, then the others, the longest ones first, lest one is alone at the end; mark those of a database.

    Tests marked `release` run if `-m` names the mark.
    """
    if "release" not in config.option.markexpr:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("release")])
        items[:] = [item for item in items if not item.get_closest_marker("release")]
    longest = dict.fromkeys((item.path for item in items), 0.0)
    for item in items:
        timeout = item.get_closest_marker("timeout")
        seconds = timeout.args[0] if timeout else 300.0 if item.get_closest_marker("proof") else 0.0
        longest[item.path] = max(longest[item.path], seconds)
    items.sort(key=lambda item: (longest[item.path] > 0, -longest[item.path]))
    for item in items:
        if not {"server_url", "newcomer", "prepared"}.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session", autouse=True)
def noted(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Record the folder of all `tmp_path`s for the cleanup."""
    leftovers.note(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module", autouse=True)
def unchanged_process() -> Iterator[None]:
    """Undo what commands and instances in a file's tests change for all that follow: environment, umask and signals."""
    stopping = {each: signal.getsignal(each) for each in STOPPING}
    os.umask(umask := os.umask(0))
    with patch.dict(os.environ):
        yield
    current_settings.cache_clear()
    os.umask(umask)
    for each, handler in stopping.items():
        signal.signal(each, handler)


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server to test against: that of TEST_DATABASE_URL, or an embedded one."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    server = EmbeddedPostgres(tmp_path_factory.mktemp("server") / "postgres")
    server.start()
    _disable_durability(server.url("postgres"))
    try:
        yield server.url("postgres")
    finally:
        server.remove()


def _disable_durability(url: str) -> None:
    """Turn off what protects data from a power cut: it is half of the cost of a new database."""
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def databases(server_url: str) -> Iterator[Databases]:
    """The databases of the server, one for each test."""
    with closing(Databases(server_url)) as databases:
        yield databases


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """An empty database."""
    name = databases.take()
    yield databases.url(name)
    databases.give_back(name)


@pytest.fixture
def engine(database_url: str) -> sa.Engine:
    """The test's database."""
    return engine_for(database_url)


@pytest.fixture
def instance(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance as `up` opens it."""
    for name in ("DAGSTER_HOME", "DAGSTER_POSTGRES_URL"):
        monkeypatch.setenv(name, "")  # restored afterwards
    secret = SecretStr(database_url)
    settings = Settings(home=tmp_path / "home", database_url=secret, dagster_postgres_url=secret)
    for name in settings.exported():
        monkeypatch.setenv(name, "")
    with open_instance(settings) as instance:
        yield instance


@pytest.fixture
def transaction(server_url: str) -> Iterator[sa.Connection]:
    """A transaction that is rolled back after the test."""
    with engine_for(server_url).connect() as connection:
        yield connection


@pytest.fixture
def started() -> Iterator[ExitStack]:
    """A stack that ends what a test starts."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """A home with empty databases, to be copied."""
    person = Person(tmp_path_factory.mktemp("prepared") / "home")
    person.prepare()
    yield person
    person.leave()


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Person]:
    """A user without a home folder; fails if one of their processes is left at the end."""
    person = Person(tmp_path / "home")
    yield person
    left = person.processes()
    if left:
        person.run("down")
    person.leave()
    assert left == []


@pytest.fixture
def person(newcomer: Person, prepared: Person) -> Person:
    """A user whose databases exist, and are empty."""
    copy_home(prepared.home, newcomer.home)
    return newcomer
