"""`metrics`: the metrics of feeds for Prometheus, as text, as a file, or served over HTTP."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import dagster as dg
import psycopg
import sqlalchemy as sa
from dagster_postgres.utils import DagsterPostgresException
from prometheus_client import CollectorRegistry, generate_latest, make_asgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from purchase_pipeline import PipelineError
from purchase_pipeline.feeds.backlog import Backlog
from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.feeds.metrics import PREFIX, metrics_of
from purchase_pipeline.ingest.ledger import Ledger
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.dagster_instance import keep_connections, open_instance
from purchase_pipeline.stack.dagster_internals import configure_loggers
from purchase_pipeline.stack.database import database_url, require_database
from purchase_pipeline.stack.log_format import run_quietly
from purchase_pipeline.stack.ports import require_free
from purchase_pipeline.stack.same_origin import SameOriginMiddleware

_log = dg.get_dagster_logger("metrics")
_UNAVAILABLE = (PipelineError, sa.exc.DBAPIError, psycopg.Error, DagsterPostgresException)


class PipelineCollector(Collector):
    """Reads the metrics when Prometheus asks; its connections stay open between two scrapes.

    It starts no server, and takes no lock: it only reads.
    """

    def __init__(self, feeds: Sequence[Feed], settings: Settings) -> None:
        self._feeds, self._settings = feeds, settings
        self._opened = ExitStack()
        self._problem = ""
        self._connected: tuple[sa.Engine, dg.DagsterInstance] | None = None

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the metrics; only `database_up 0` if the database cannot be read."""
        try:
            found = self._read()
            self._problem = ""
        except _UNAVAILABLE as error:
            self.close()
            self._warn(str(error))
            found = []
        up = f"{PREFIX}_database_up", "Whether the ledger and Dagster's storage can be read."
        return [GaugeMetricFamily(*up, value=bool(found)), *found]

    def _warn(self, problem: str) -> None:
        """Log why there are no metrics, once as long as that is the reason."""
        if problem != self._problem:
            _log.warning("No metrics: %s", problem)
        self._problem = problem

    def close(self) -> None:
        """Close the connections; the next scrape opens others."""
        self._connected = None
        self._opened.close()

    def _read(self) -> list[GaugeMetricFamily]:
        if self._connected is not None:
            try:
                return self._families(*self._connected)
            except _UNAVAILABLE:  # the server may have been restarted since the last scrape
                self.close()
        return self._families(*self._connect())

    def _connect(self) -> tuple[sa.Engine, dg.DagsterInstance]:
        require_database(self._settings)
        engine = engine_for(database_url(self._settings), keeps_connection=True)
        self._opened.callback(engine.dispose)
        instance = self._opened.enter_context(open_instance(self._settings))
        keep_connections(instance)
        self._connected = engine, instance
        return self._connected

    def _families(self, engine: sa.Engine, instance: dg.DagsterInstance) -> list[GaugeMetricFamily]:
        backlogs = [Backlog(feed, Ledger(engine, feed.tables), instance) for feed in self._feeds]
        return list(metrics_of(backlogs, instance))


@contextmanager
def open_registry(feeds: Sequence[Feed], settings: Settings) -> Iterator[CollectorRegistry]:
    """Yield the registry that Prometheus's client writes as text; close its connections at the end."""
    registry = CollectorRegistry(auto_describe=False)
    with closing(PipelineCollector(feeds, settings)) as collector:
        registry.register(collector)
        yield registry


def write_metrics(registry: CollectorRegistry, file: Path) -> None:
    """Write the metrics to a file that is replaced at once, and that node_exporter, another user, may read."""
    staged = file.with_name(f".{file.name}.{os.getpid()}")  # not *.prom, so it is not collected
    try:
        staged.write_bytes(generate_latest(registry))
        staged.chmod(0o644)
        staged.replace(file)
    finally:
        staged.unlink(missing_ok=True)


def serve_metrics(registry: CollectorRegistry, settings: Settings, host: str, port: int) -> None:
    """Serve the metrics until interrupted, one scrape at a time."""
    require_free(port, "metrics", "--serve ", host)
    configure_loggers(formatter=settings.log_format)
    app = SameOriginMiddleware(make_asgi_app(registry), [host, *settings.allowed_hosts])
    run_quietly(app, host, port, settings, lifespan="off")
