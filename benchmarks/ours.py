"""This project's data path: what the ingest assets do for a batch, without the Dagster run."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import dagster as dg
from dagster._core.definitions.scoped_resources_builder import Resources

from benchmarks.same_table import IntoSameTable
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.load import LandedSlices
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.ingest.sources.request import PartitionRequest
from purchase_pipeline.postgres import PostgresIOManager
from purchase_pipeline.purchases import PURCHASES, TABELA_COMPRAS, purchase_source


class OurPath:
    """Fetches, lands, validates and replaces a batch, with the same objects and defaults as a run."""

    def __init__(self, source: HttpSource, landing: Landing, io_manager: dg.IOManager, lots: int) -> None:
        self._source = source
        self._landing = landing
        self._io_manager = io_manager
        self._partitions = dg.StaticPartitionsDefinition([f"lote-{n:04d}" for n in range(1, lots + 1)])

    def load(self, lote: str, rows: int) -> None:
        """Load one batch, from the API to the commit; a loaded batch is fetched again and replaced."""
        request = PartitionRequest(lote, {"rows": rows})
        landed = self._landing.land(lote, partial(self._source.fetch, request))
        lot = LandedSlices(landed, self._landing, PURCHASES, max_rejected_ratio=0.05, run_id="benchmark")
        context = dg.build_output_context(
            asset_key=TABELA_COMPRAS.name,
            partition_key=lote,
            asset_partitions_def=self._partitions,
            definition_metadata={"partition_expr": "lote"},
            output_metadata={"source_rows": landed.rows, "digest": landed.digest},
            resources=Resources(),  # empty, but given: Dagster would otherwise create an instance, in 0.1 s
        )
        self._io_manager.handle_output(context, lot.slices())


@contextmanager
def our_path(api_url: str, landing: Path, database_url: str, lots: int = 1000) -> Iterator[OurPath]:
    """Open the data path from an API into a database for `lots` batches, with the client and connection of a run."""
    with ExitStack() as stack:
        context = stack.enter_context(dg.build_init_resource_context())
        resource = PostgresIOManager(database_url=database_url)
        io_manager = stack.enter_context(resource.yield_for_execution(context))
        yield OurPath(purchase_source(api_url), landing_at(str(landing)), io_manager, lots)


class Ours(IntoSameTable):
    """A new batch, into empty tables."""

    name = "this project"

    def __init__(self, path: OurPath, database_url: str) -> None:
        super().__init__(database_url)
        self._path = path

    def load(self, lote: str, rows: int) -> None:
        """Load the batch."""
        self._path.load(lote, rows)


class OursReplacing(Ours):
    """A loaded batch, fetched again and replaced."""

    name = "this project, replacing a loaded batch"

    def __init__(self, path: OurPath, database_url: str, rows: int) -> None:
        super().__init__(path, database_url)
        self._rows = rows

    def prepare(self, lote: str) -> None:
        """Load the batch that will be replaced."""
        self._path.load(lote, self._rows)
