"""What the assets are handed: configuration in, plain objects out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg
import httpx
from pydantic import Field

from purchase_pipeline.ingest.api_client import ClientSettingsError, api_client
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.ledger import LotLedger
from purchase_pipeline.ingest.purchase_api import PurchaseApi
from purchase_pipeline.postgres import PostgresIOManager
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.postgres.manager import PostgresDbIOManager
from purchase_pipeline.stack.database import own_database_in_use


class PurchaseApiResource(dg.ConfigurableResource[PurchaseApi]):
    """Where the purchase API lives, how long to wait for it, and how often it may be asked by all workers together."""

    base_url: str
    rate: str | None = None
    redis_url: str | None = None
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 30.0

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[PurchaseApi]:  # noqa: ARG002
        """Open one client for the run, and close it after."""
        with self._client() as client:
            yield PurchaseApi(client, wait_for_turn=self._turns())

    def _client(self) -> httpx.Client:
        timeout = httpx.Timeout(self.read_timeout_seconds, connect=self.connect_timeout_seconds)
        try:
            return api_client(self.base_url, timeout)
        except ClientSettingsError as error:
            raise dg.Failure(str(error), allow_retries=False) from error

    def _turns(self) -> Callable[[float], None] | None:
        """Return what waits until a request is within the rate; None where there is no rate."""
        if self.rate is None or self.redis_url is None:
            return None
        try:
            # Imported where there is a rate: Redis is no part of the local stack.
            from purchase_pipeline.ingest.rate_limit import SharedRate  # noqa: PLC0415
        except ImportError as error:
            raise dg.Failure(
                f"PURCHASE_API_RATE needs more packages: pip install 'purchase-pipeline[scale]' ({error})"
            ) from error
        return SharedRate(self.rate, self.redis_url, self.base_url).wait_for_turn


class LandingResource(dg.ConfigurableResource[Landing]):
    """Where raw lots land: a folder's path, or `s3://bucket/prefix`."""

    place: str

    def create_resource(self, context: dg.InitResourceContext) -> Landing:  # noqa: ARG002
        """Hand out the landing; a folder is made when the first lot arrives, a bucket must be there."""
        return landing_at(self.place)


class LotLedgerResource(dg.ConfigurableResource[LotLedger]):
    """The database, as it speaks of lots."""

    database_url: str = Field(repr=False)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[LotLedger]:  # noqa: ARG002
        """Hand out the ledger, with the embedded server in use if the database is its own."""
        with own_database_in_use(self.database_url):
            yield LotLedger(engine_for(self.database_url))


class PurchasesIOManager(PostgresIOManager):
    """The PostgreSQL IO manager, with the embedded server in use if the database is its own."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[PostgresDbIOManager]:
        """Start the database where it is ours to start, then hand out the manager."""
        with own_database_in_use(self.database_url), super().yield_for_execution(context) as manager:
            yield manager
