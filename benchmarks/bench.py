"""The environment of a benchmark: its own PostgreSQL with default settings, and the mock API as `up` serves it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg import sql

from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline.stack.processes import Processes
from purchase_pipeline.stack.services import StackOptions, mock_api, wait_for_mock_api
from purchase_pipeline_tests.serving import free_port


@dataclass(frozen=True)
class Bench:
    """A temporary folder, a server in it, and an API."""

    folder: Path
    server: EmbeddedPostgres
    api_url: str

    def database(self, name: str) -> str:
        """Create a database and return its URL, for libpq and SQLAlchemy."""
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.server.url(name)


@contextmanager
def a_bench() -> Iterator[Bench]:
    """Start a server with default settings and the mock API in its own process; remove both at the end."""
    with a_server() as (folder, server), _served_api(folder) as api_url:
        yield Bench(folder, server, api_url)


@contextmanager
def a_server() -> Iterator[tuple[Path, EmbeddedPostgres]]:
    """Start only a server, in a temporary folder."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        server = EmbeddedPostgres(folder / "postgres")
        server.start()
        try:
            yield folder, server
        finally:
            server.remove()


@contextmanager
def _served_api(folder: Path) -> Iterator[str]:
    os.environ.pop("PURCHASE_API_URL", None)  # otherwise that API would be measured
    settings = Settings(home=folder / "home")
    processes = Processes(settings.home)
    with mock_api(settings, StackOptions(api_port=free_port()), processes) as served:
        wait_for_mock_api(settings, served, processes)
        yield served.api_url
