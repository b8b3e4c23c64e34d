"""A lot on the bench: the real job for one lot, its API and its database, and what the lot must be after each load."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import sqlalchemy as sa
from psycopg import sql

from mock_api.app import create_app
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres
from purchase_pipeline_tests.pipelines import ingest
from purchase_pipeline_tests.serving import served
from resilience.drills.content import Version, fetch_version
from resilience.drills.faulty_api import FaultyApi

DATABASE = "lots"
ROLE = "drill"


class Database:
    """An embedded server with one database, whose owner is no superuser: limits hold for it."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._url = server.url(DATABASE)
        self.socket = server.socket_folder / ".s.PGSQL.5432"
        self.url = str(sa.make_url(self._url).set(username=ROLE))
        with self.as_superuser("postgres") as connection:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(ROLE))
            )

    def url_through(self, port: int) -> str:
        """Return the owner's URL by way of a proxy."""
        return f"postgresql://{ROLE}@127.0.0.1:{port}/{DATABASE}"

    @contextmanager
    def as_superuser(self, database: str = DATABASE) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Connect past any proxy; each statement is a transaction."""
        url = sa.make_url(self._url).set(database=database).render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection


@dataclass
class LotBench:
    """One lot, loaded in one version after another.

    `pipeline` may be changed from load to load; `held` is what the database holds by all that is known; `failure` says
    why the last load failed.
    """

    lote: str
    rows: int
    api: FaultyApi
    api_url: str
    database: Database
    pipeline: dg.Definitions
    instance: dg.DagsterInstance
    held: Version | None = None
    failure: str = ""
    sent_as: Callable[[Version], Version] = lambda version: version
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def next_version(self) -> Version:
        """Let the API send other rows from now on, and return them."""
        key = f"{self.lote}.{next(self._numbers)}"
        self.api.versions[self.lote] = key
        return self.sent_as(fetch_version(self.api_url, key, self.rows, self.api.defects))

    def load(self, *, refetch: bool) -> bool:
        """Run the job, and return whether it says that it succeeded; keep what it says of a failure."""
        result = ingest(self.pipeline, self.lote, rows=self.rows, refetch=refetch, instance=self.instance)
        failures = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
        self.failure = "\n".join(str(error) for error in failures)
        return result.success

    def holds(self, version: Version | None) -> bool:
        """Return whether the database holds exactly this version of the lot; None: no row."""
        with self.database.as_superuser() as connection:
            return version is not None and version.is_held(connection, self.lote)

    def surplus(self) -> int:
        """Return how many rows more than its own the lot has, over both tables."""
        query = (
            "SELECT (SELECT count(*) FROM tabela_compras WHERE lote = %(lote)s)"
            " + (SELECT count(*) FROM compras_rejeitadas WHERE lote = %(lote)s)"
        )
        with self.database.as_superuser() as connection:
            (found,) = connection.execute(query, {"lote": self.lote}).fetchone() or (0,)
        return max(0, int(found) - self.rows)


@contextmanager
def a_database(folder: Path) -> Iterator[Database]:
    """Start a server of its own for a drill, and remove it after."""
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    try:
        yield Database(server)
    finally:
        server.remove()


@contextmanager
def an_api(defects: float = 0.0) -> Iterator[tuple[FaultyApi, str]]:
    """Serve the mock API, with that share of rows broken."""
    api = FaultyApi(create_app(defects=defects), defects)
    with served(api) as url:
        yield api, url
