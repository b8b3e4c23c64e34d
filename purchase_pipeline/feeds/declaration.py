"""What a feed declares, and the names that are derived from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import dagster as dg
from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from purchase_pipeline import PipelineError
from purchase_pipeline.feeds.declaration_problems import problems_of
from purchase_pipeline.feeds.links import page
from purchase_pipeline.feeds.partitions import WHOLE, end_of_window, keys_sort_by_time
from purchase_pipeline.ingest.retention import Retention
from purchase_pipeline.ingest.sources.request import Source
from purchase_pipeline.ingest.tables import FeedTables, feed_tables
from purchase_pipeline.ingest.writing import REPLACE, Since, Write

FEED_KEY = "_feed"
"""End of the resource key of a declaration."""


class FeedDeclarationError(PipelineError):
    """A feed's declaration is incomplete or contradicts itself."""


@dataclass(kw_only=True)
class FeedDeclaration:
    """One declared source: its API, its contract, its partitions, its tables.

    Attributes:
        name: prefix of everything that Dagster names: assets, job, sensor, resources, pools.
        source: where the rows of a partition come from: an `HttpSource`, a `FunctionSource`.
        contract: pydantic model of a row, in YAML its dotted path; the tables are derived from it.
        tables: the tables, if they have names of their own.
        partitions: partitions of all assets; none for a source that is loaded whole each time, or by `since`.
        write: how rows are written: each partition is replaced, or rows are upserted or inserted by keys.
        since: field by which a feed without partitions continues where its last load ended, as `{since}`.
        reload_windows: number of later time windows at whose end a window is loaded again, for data that arrive or
            change late.
        schedule: cron expression of the times when a feed without partitions is loaded; `every` is for partitions.
        variables: values of the request that a run's configuration may replace: for each a default, or a pydantic
            `Field` with its default and bounds.
        max_rejected_ratio: ratio of rejected rows, 0 to 1, at which a partition fails.
        min_rejected_rows: number of rejected rows below which it does not, whatever the ratio.
        every: seconds between two partitions that the sensor requests.
        partitions_per_run: most partitions that `ingest` loads in one run, each committed alone.
        hash_partitions: number of PostgreSQL's hash partitions of tables that do not exist yet.
        freshness: Dagster's freshness policy of the table of accepted rows.
        retention: how many days landed files and rejected rows are kept; by default those of the settings.
        api_asset: name of the API, or function, in the lineage; by default `<name>_api`.
        raw_asset: name of the asset of raw partitions; by default `raw_<name>`.
        job: name of the job that loads partitions; by default `ingest_<name>`.
        sensor: name of the sensor that requests missing partitions; by default `missing_<name>`.
        group: group of the assets; by default the feed's name.
        landing: folder or `s3://bucket/prefix` of the raw partitions, of no other feed; by default `<name>` in that of
            the settings.
        api_pool: Dagster's pool that limits how many runs use the API at once; by default `<name>_api`.
        database_pool: the same for the database; by default `<name>_database`.
        owners, tags: of the assets, shown by Dagster's UI.
        documentation: path or URL of the page that Dagster's UI shows with the assets.

    Raises:
        FeedDeclarationError: neither contract nor tables, an attribute out of bounds, also of the source, or attributes
            that exclude others.
        WriteError: `write` or `since` does not fit the contract.
    """

    name: str
    source: Source
    partitions: dg.PartitionsDefinition[str] | None = None
    contract: type[BaseModel] | None = None
    tables: FeedTables = field(default=None)  # type: ignore[assignment]  # set below
    write: Write = REPLACE
    since: Since | None = None
    reload_windows: int = 0
    variables: Mapping[str, Any] = field(default_factory=dict)
    max_rejected_ratio: float = 0.05
    min_rejected_rows: int = 0
    every: float = 5.0
    schedule: str | None = None
    partitions_per_run: int = 100
    hash_partitions: int | None = None
    freshness: dg.FreshnessPolicy | None = None
    retention: Retention | None = None
    api_asset: str = ""
    raw_asset: str = ""
    job: str = ""
    sensor: str = ""
    group: str = ""
    landing: str = ""
    api_pool: str = ""
    database_pool: str = ""
    owners: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    documentation: str | None = None

    def __post_init__(self) -> None:
        if self.tables is None:
            if self.contract is None:
                raise FeedDeclarationError(
                    f"Feed {self.name!r} has no contract.",
                    hint="Set `contract` to the pydantic model of a row.",
                )
            self.tables = feed_tables(self.contract, self.name, write=self.write)
        elif self.write.merges and self.write != self.tables.write:
            raise FeedDeclarationError(
                f"Feed {self.name!r} has both tables and write.", hint="Give `write` to feed_tables()."
            )
        self.write = self.tables.write
        by_time = self.has_increments or keys_sort_by_time(self.partitions)
        if self.write.mode == "upsert" and self.write.newest is None and by_time:
            self.write = replace(self.write, newest=self.tables.partition)
            self.tables = replace(self.tables, write=self.write)
        self.variables = {
            name: value if isinstance(value, FieldInfo) else Field(default=value)
            for name, value in self.variables.items()
        }
        self.api_asset = self.api_asset or f"{self.name}_api"
        self.raw_asset = self.raw_asset or f"raw_{self.name}"
        self.job = self.job or f"ingest_{self.name}"
        self.sensor = self.sensor or f"missing_{self.name}"
        self.group = self.group or self.name
        self.api_pool = self.api_pool or f"{self.name}_api"
        self.database_pool = self.database_pool or f"{self.name}_database"
        for problem, hint in problems_of(self):
            raise FeedDeclarationError(f"Feed {self.name!r}: {problem}.", hint=hint)

    @property
    def has_increments(self) -> bool:
        """Whether each load is a batch of its own: there are no partitions, and earlier rows stay."""
        return self.partitions is None and self.write.merges

    def due(self, keys: Sequence[str]) -> dict[str, datetime]:
        """Return the moments from which loads of these windows, all in order, are complete; none if any are."""
        partitions = self.partitions
        if not self.reload_windows or not isinstance(partitions, dg.TimeWindowPartitionsDefinition):
            return {}
        last = len(keys) - 1
        return {
            key: end_of_window(partitions, keys[min(position + self.reload_windows, last)])
            for position, key in enumerate(keys)
        }

    @property
    def validation(self) -> str:
        """Name of the step that validates a partition and loads both tables."""
        return f"validated_{self.name}"

    def config_of_increment(self, key: str) -> dict[str, Any]:
        """Return the run's configuration that loads a landed increment; none for the one that is landed by the run."""
        return {"ops": {self.validation: {"config": {"increment": key}}}} if key else {}

    @property
    def assets(self) -> frozenset[dg.AssetKey]:
        """The assets that a run of the feed's job materializes."""
        names = (self.raw_asset, *(table.name for table in self.tables.both))
        return frozenset(dg.AssetKey(name) for name in names)

    def partition_keys(self, instance: dg.DagsterInstance) -> list[str]:
        """Return the partitions that exist now, in order; one without a name if the feed has none."""
        if self.partitions is None:
            return [WHOLE]
        return list(self.partitions.get_partition_keys(dynamic_partitions_store=instance))

    def has_partition(self, key: str) -> bool:
        """Return whether a partition exists; any key may, if partitions are dynamic."""
        if self.partitions is None:
            return key == WHOLE
        dynamic = isinstance(self.partitions, dg.DynamicPartitionsDefinition)
        return dynamic or self.partitions.has_partition_key(key)

    # Two feeds in one code location share no resource: each has keys of its own.
    @property
    def feed_key(self) -> str:
        """Key of the declaration itself, by which commands find it."""
        return f"{self.name}{FEED_KEY}"

    @property
    def source_key(self) -> str:
        """Key of the resource that fetches partitions."""
        return f"{self.name}_source"

    @property
    def landing_key(self) -> str:
        """Key of the resource that keeps raw partitions."""
        return f"{self.name}_landing"

    @property
    def ledger_key(self) -> str:
        """Key of the resource that reads the ledger."""
        return f"{self.name}_ledger"

    @property
    def io_manager_key(self) -> str:
        """Key of the IO manager."""
        return f"{self.name}_io_manager"

    @property
    def pages(self) -> dict[str, dg.MetadataValue[Any]]:
        """The metadata of the page that documents the feed, if any."""
        return page(self.documentation)
