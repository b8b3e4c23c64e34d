"""This project's data path: what the ingest assets do for a batch, without the Dagster run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.scoped_resources_builder import Resources

from benchmarks.peers.loaded import Loaded
from benchmarks.same_table import IntoSameTable
from purchase_pipeline.feeds import Feed, PartitionRequest
from purchase_pipeline.feeds.table_assets import table_assets
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.load import LandedSlices
from purchase_pipeline.postgres import PostgresIOManager
from purchase_pipeline.purchases import PURCHASES, purchase_source


class OurPath:
    """Fetches, lands, validates and replaces a batch of a feed, with the same objects and defaults as a run."""

    def __init__(
        self, feed: Feed, metadata: Mapping[str, Any], landing: Landing, io_manager: dg.IOManager
    ) -> None:
        self._feed = feed
        self._metadata = metadata
        self._landing = landing
        self._io_manager = io_manager

    def load(self, key: str, **variables: Any) -> Loaded:  # noqa: ANN401  (any values of the request)
        """Load one batch, from the API to the commit.

        A loaded batch is fetched again and replaced.
        """
        feed, request = self._feed, PartitionRequest(key, variables)
        landed = self._landing.land(key, partial(feed.source.fetch, request))
        batch = LandedSlices(
            landed,
            self._landing,
            feed.tables,
            max_rejected_ratio=feed.max_rejected_ratio,
            min_rejected_rows=feed.min_rejected_rows,
            run_id="benchmark",
        )
        context = dg.build_output_context(
            asset_key=feed.tables.accepted.name,
            partition_key=key,
            asset_partitions_def=feed.partitions,
            definition_metadata=self._metadata,
            output_metadata={"source_rows": landed.rows, "digest": landed.digest},
            resources=Resources(),  # empty, but given: Dagster would otherwise create an instance, in 0.1 s
        )
        self._io_manager.handle_output(context, batch.slices())
        rejected = len(batch.validation.rejected)
        return Loaded(landed.rows - rejected, rejected)


def table_metadata(feed: Feed) -> Mapping[str, Any]:
    """Return the metadata of a feed's table, among them the IO manager's options, as a code location defines it."""
    return table_assets(feed).metadata_by_key[dg.AssetKey(feed.tables.accepted.name)]


@contextmanager
def path_of(feed: Feed, metadata: Mapping[str, Any], landing: Path, database_url: str) -> Iterator[OurPath]:
    """Open the data path of a feed into a database, with the client and connection of a run."""
    # Not `build_init_resource_context`, which creates a Dagster instance, in 0.1 s.
    context = dg.InitResourceContext({}, Resources(), resource_def=None, all_resource_defs={})
    with PostgresIOManager(database_url=database_url).yield_for_execution(context) as io_manager:
        yield OurPath(feed, metadata, landing_at(str(landing)), io_manager)


@contextmanager
def our_path(api_url: str, landing: Path, database_url: str, lots: int = 1000) -> Iterator[OurPath]:
    """Open the data path of purchases from an API into a database for `lots` batches."""
    feed = Feed(
        name="purchases",
        source=purchase_source(api_url),
        tables=PURCHASES,
        partitions=dg.StaticPartitionsDefinition([f"lote-{n:04d}" for n in range(1, lots + 1)]),
        variables={"rows": 10_000},
    )
    with path_of(feed, table_metadata(feed), landing, database_url) as path:
        yield path


class Ours(IntoSameTable):
    """A new batch, into empty tables."""

    name = "this project"

    def __init__(self, path: OurPath, database_url: str) -> None:
        super().__init__(database_url)
        self._path = path

    def load(self, lote: str, rows: int) -> None:
        """Load the batch."""
        self._path.load(lote, rows=rows)


class OursReplacing(Ours):
    """A loaded batch, fetched again and replaced."""

    name = "this project, replacing a loaded batch"

    def __init__(self, path: OurPath, database_url: str, rows: int) -> None:
        super().__init__(path, database_url)
        self._rows = rows

    def prepare(self, lote: str) -> None:
        """Load the batch that will be replaced."""
        self._path.load(lote, rows=self._rows)
