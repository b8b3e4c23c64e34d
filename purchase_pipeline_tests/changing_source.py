"""A source in memory whose rows change, for feeds that upsert, insert or continue."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.feeds import Feed, PartitionRequest
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.ledger import Ledger, LoadedPartition
from purchase_pipeline.ingest.reconciliation import Verifier
from purchase_pipeline.settings import Settings

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class ChangingSource:
    """Rows by partition, and the requests made.

    Attributes:
        rows: by partition key; "" for a feed without partitions.
        requests: all that were made, in order.
    """

    rows: dict[str, Sequence[Any]] = field(default_factory=dict)
    requests: list[PartitionRequest] = field(default_factory=list)

    def __call__(self, request: PartitionRequest) -> Iterator[Any]:
        """Yield the rows of a partition."""
        self.requests.append(request)
        yield from self.rows.get(request.key, ())


@dataclass
class LoadedFeed:
    """A feed with its definitions, and what it has loaded."""

    feed: Feed
    settings: Settings
    engine: sa.Engine
    instance: dg.DagsterInstance

    def run(
        self,
        key: str = "",
        *,
        assets: Sequence[str] | None = None,
        raises: bool = False,
        **config: dict[str, Any],
    ) -> dg.ExecuteInProcessResult:
        """Run the feed's job, with configuration by step."""
        job = self.feed.definitions(self.settings).resolve_job_def(self.feed.job)
        return job.execute_in_process(
            instance=self.instance,
            partition_key=key or None,
            asset_selection=None if assets is None else [dg.AssetKey(name) for name in assets],
            run_config={**QUIET, "ops": {step: {"config": values} for step, values in config.items()}},
            raise_on_error=raises,
        )

    def load(self, *keys: str, **config: dict[str, Any]) -> None:
        """Run the feed's job for each partition, and raise its error if it fails."""
        for key in keys or ("",):
            self.run(key, assets=None, raises=True, **config)

    @property
    def ledger(self) -> Ledger:
        """The feed's ledger."""
        return Ledger(self.engine, self.feed.tables)

    @property
    def batches(self) -> list[LoadedPartition]:
        """What is loaded, in order of the keys."""
        return [one for _, one in sorted(self.ledger.loaded().items())]

    def counts(self) -> list[tuple[int, int, int]]:
        """Return rows received, loaded and rejected of each batch."""
        return [(one.received, one.loaded, one.rejected) for one in self.batches]

    def differences(self) -> dict[str, list[str]]:
        """Return the differences that verifying finds, by batch."""
        landing = landing_at(self.feed.landing_location(self.settings))
        verifier = Verifier(self.engine, self.feed.tables, landing)
        found = {key: verifier.verify(key).differences for key in verifier.partitions()}
        return {key: differences for key, differences in found.items() if differences}

    def stored(self, columns: str, table: str = "") -> list[tuple[Any, ...]]:
        """Return columns of a table's rows, in order."""
        statement = f"SELECT {columns} FROM {table or self.feed.name} ORDER BY 1, 2"  # noqa: S608
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    def execute(self, statement: str) -> None:
        """Execute a statement."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(statement)
