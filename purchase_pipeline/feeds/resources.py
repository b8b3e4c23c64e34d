"""Dagster resources: each builds a plain object from its configuration."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import httpx
from pydantic import Field

from purchase_pipeline.ingest.api_client import ClientSettingsError, api_client
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.ledger import LotLedger
from purchase_pipeline.ingest.purchase_api import PurchaseApi, purchase_source
from purchase_pipeline.ingest.sources.variables import Known
from purchase_pipeline.postgres import PostgresIOManager
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.postgres.manager import PostgresDbIOManager
from purchase_pipeline.stack.database import own_database_in_use


class PurchaseApiResource(dg.ConfigurableResource[PurchaseApi]):
    """The purchase API: its URL, its timeouts, and a request rate that all workers share."""

    base_url: str
    rate: str | None = None
    redis_url: str | None = None
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 30.0

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[PurchaseApi]:  # noqa: ARG002
        """Yield the API, after checking that a client can be opened."""
        self._client().close()
        shared = self.rate is not None and self.redis_url is not None
        source = purchase_source(
            Known("PURCHASE_API_URL", self.base_url),
            rate=self.rate if shared else None,
            redis_url=Known("PURCHASE_REDIS_URL", self.redis_url or ""),
            connect_timeout_seconds=self.connect_timeout_seconds,
            read_timeout_seconds=self.read_timeout_seconds,
        )
        yield PurchaseApi(source)

    def _client(self) -> httpx.Client:
        timeout = httpx.Timeout(self.read_timeout_seconds, connect=self.connect_timeout_seconds)
        try:
            return api_client(self.base_url, timeout)
        except ClientSettingsError as error:
            raise dg.Failure(str(error), allow_retries=False) from error


class LandingResource(dg.ConfigurableResource[Landing]):
    """Where raw batches are stored: a folder, or `s3://bucket/prefix`."""

    location: str

    def create_resource(self, context: dg.InitResourceContext) -> Landing:  # noqa: ARG002
        """Return the landing. A folder is created with the first batch; a bucket must exist."""
        return landing_at(self.location)


class LotLedgerResource(dg.ConfigurableResource[LotLedger]):
    """The ledger of loaded batches, in PostgreSQL."""

    database_url: str = Field(repr=False)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[LotLedger]:  # noqa: ARG002
        """Yield the ledger; start the embedded server if the URL is its own."""
        with own_database_in_use(self.database_url):
            yield LotLedger(engine_for(self.database_url))


class PurchasesIOManager(PostgresIOManager):
    """The PostgreSQL IO manager; starts the embedded server if the URL is its own."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[PostgresDbIOManager]:
        """Yield the IO manager, after starting the embedded server if needed."""
        with own_database_in_use(self.database_url), super().yield_for_execution(context) as manager:
            yield manager
