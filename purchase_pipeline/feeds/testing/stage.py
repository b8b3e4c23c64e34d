"""Where a feed is checked: a database and a landing of its own, and runs of its definitions."""

import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from sys import maxsize
from tempfile import TemporaryDirectory
from typing import Any, Self
from uuid import uuid4

import dagster as dg
import sqlalchemy as sa
import zstandard
from pydantic import SecretStr

from purchase_pipeline import PipelineError
from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.ingest.sources.request import Source
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.settings import Settings, current_settings
from purchase_pipeline.stack.embedded_postgres.server import EmbeddedPostgres

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_OF_A_RUN = {"run_id"}
"""Columns that differ from run to run."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """A feed with a database and a landing of its own. Loads are those of the feed's job."""

    feed: Feed
    settings: Settings

    @classmethod
    @contextmanager
    def open(cls, feed: Feed, source: Source, database_url: str | None) -> Iterator[Self]:
        """Create an empty database and landing, and remove them at the end."""
        with ExitStack() as stack:
            folder = stack.enter_context(TemporaryDirectory(prefix="feed-check-"))
            url = stack.enter_context(_database(stack.enter_context(_server(database_url))))
            stack.enter_context(_variable("DATABASE_URL", url))  # Dagster's resources read it if it is set
            landing = str(Path(folder) / "landing")
            # How many rows may be rejected is a matter of the real data, not of samples.
            checked = copy(feed)
            checked.source, checked.landing, checked.min_rejected_rows = source, landing, maxsize
            opened = cls(checked, Settings(database_url=SecretStr(url), landing=landing, home=Path(folder)))
            stack.callback(opened.close)
            yield opened

    def close(self) -> None:
        """Remove the temporary files of Dagster's instance."""
        if "_in_memory" in self.__dict__:
            self._in_memory.dispose()

    def load(self, key: str, *, refetch: bool = False) -> None:
        """Load a partition.

        Raises:
            AssertionError: the run failed, or one of the feed's checks.
        """
        config = {"ops": {self.feed.raw_asset: {"config": {"refetch": refetch}}}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Dagster's
            try:
                result = self._job.execute_in_process(
                    partition_key=key or None, run_config={**_QUIET, **config}, instance=self._instance(key)
                )
            except Exception as error:
                raise AssertionError(f"{named(key)}the load failed: {_explained(error)}") from error
        for check in result.get_asset_check_evaluations():
            if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
                raise AssertionError(f"{named(key)}the check {check.check_name} fails: {check.description}")

    def rows(self, table: sa.Table, key: str | None = None) -> list[Row]:
        """Return a table's rows in order, or those of a partition, without generated columns and the run's id."""
        tables = self.feed.tables
        partition = tables.partition_of(table)
        columns = [one for one in table.columns if one.identity is None and one.name not in _OF_A_RUN]
        query = sa.select(*columns).order_by(partition, tables.row_number_of(table))
        with self.engine.connect() as connection:
            if not sa.inspect(connection).has_table(table.name):
                return []
            found = connection.execute(query if key is None else query.where(partition == key))
            return [dict(row) for row in found.mappings()]

    def landed(self, key: str) -> LandedPartition:
        """Return a landed partition.

        Raises:
            AssertionError: it has not landed.
        """
        landed = self.landing.find(key)
        if landed is None:
            raise AssertionError(f"{named(key)}nothing has landed in {self.landing.backend}.")
        return landed

    def landed_bytes(self, key: str) -> bytes:
        """Return the content of a landed file."""
        with self.landing.backend.open(self.landed(key).file_name) as file:
            return zstandard.ZstdDecompressor().stream_reader(file.read(), read_across_frames=True).read()

    def stored_key(self, key: str) -> str:
        """Return the key under which a partition was loaded last: a batch gets its key when it is requested."""
        if not self.feed.has_increments:
            return key
        return max(self.ledger.counted().values(), key=lambda one: one.committed_at).key

    @cached_property
    def engine(self) -> sa.Engine:
        """The database."""
        assert self.settings.database_url is not None  # noqa: S101  (as opened)
        return engine_for(self.settings.database_url.get_secret_value())

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger."""
        return Ledger(self.engine, self.feed.tables)

    @cached_property
    def landing(self) -> Landing:
        """The landing."""
        return landing_at(self.feed.landing_location(self.settings))

    @cached_property
    def _job(self) -> dg.JobDefinition:
        return self.feed.definitions(self.settings).resolve_job_def(self.feed.job)

    def _instance(self, key: str) -> dg.DagsterInstance:
        """Return Dagster's instance, in memory, with the partition if partitions are dynamic."""
        partitions = self.feed.partitions
        if isinstance(partitions, dg.DynamicPartitionsDefinition) and partitions.name:
            self._in_memory.add_dynamic_partitions(partitions.name, [key])
        return self._in_memory

    @cached_property
    def _in_memory(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.ephemeral()


def named(key: str) -> str:
    """Return the begin of a message about a partition."""
    return f"{key}: " if key else ""


def _explained(error: BaseException) -> str:
    """Return an error's message; that of its cause, if Dagster has wrapped it."""
    while isinstance(error, dg.DagsterError) and error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__


@contextmanager
def _server(database_url: str | None) -> Iterator[str]:
    """Yield a URL of the server: the given one, or that of the embedded server, which runs within the block."""
    if database_url is not None:
        yield database_url
        return
    settings = current_settings()
    settings.make_home()
    embedded = EmbeddedPostgres(settings.postgres_home)
    with embedded.in_use():
        yield embedded.url("postgres")


@contextmanager
def _database(server_url: str) -> Iterator[str]:
    """Create an empty database, yield its URL, and drop it."""
    name = f"feed_check_{uuid4().hex}"
    server = engine_for(server_url).execution_options(isolation_level="AUTOCOMMIT")
    quoted = server.dialect.identifier_preparer.quote(name)
    try:
        with server.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {quoted}")
    except sa.exc.DBAPIError as error:
        raise PipelineError(
            f"check_feed cannot create a database of its own: {str(error.orig).strip()}.",
            hint="Give the URL of a running server with a role that may create databases, or none for the embedded "
            "server.",
        ) from error
    try:
        yield sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {quoted} WITH (FORCE)")


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
