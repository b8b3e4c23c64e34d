"""This project's data path: all that the ingest assets do for a lot, without the Dagster run around them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import dagster as dg
from dagster._core.definitions.scoped_resources_builder import Resources

from benchmarks.same_table import IntoSameTable
from purchase_pipeline.feeds.resources import PurchaseApiResource
from purchase_pipeline.ingest.landing.store import Landing, landing_at
from purchase_pipeline.ingest.load import LandedSlices
from purchase_pipeline.ingest.purchase_api import PurchaseApi
from purchase_pipeline.ingest.tables import TABELA_COMPRAS
from purchase_pipeline.postgres import PostgresIOManager


class OurPath:
    """Fetch, land, judge, and replace the lot in both tables: the objects that a run is handed, with their defaults."""

    def __init__(self, api: PurchaseApi, landing: Landing, io_manager: dg.IOManager, lots: int) -> None:
        self._api = api
        self._landing = landing
        self._io_manager = io_manager
        self._partitions = dg.StaticPartitionsDefinition([f"lote-{n:04d}" for n in range(1, lots + 1)])

    def load(self, lote: str, rows: int) -> None:
        """Take one lot from the API to its commit; a lot that is there is fetched anew and replaced."""
        self._api.fetch_lote(lote, rows, partial(self._landing.land, lote, rows=rows))
        landed = self._landing.find(lote)
        if landed is None:
            raise FileNotFoundError(f"{lote} did not land in {self._landing.backend}")
        lot = LandedSlices(landed, self._landing, max_rejected_ratio=0.05, run_id="benchmark")
        context = dg.build_output_context(
            asset_key=TABELA_COMPRAS.name,
            partition_key=lote,
            asset_partitions_def=self._partitions,
            definition_metadata={"partition_expr": "lote"},
            output_metadata={"source_rows": landed.rows, "digest": landed.digest},
            resources=Resources(),  # none, ready made: else an instance of Dagster is, in 0.1 s
        )
        self._io_manager.handle_output(context, lot.slices())


@contextmanager
def our_path(api_url: str, landing: Path, database_url: str, lots: int = 1000) -> Iterator[OurPath]:
    """Open the path from an API into a database, for `lots` lots; client and connection are a run's own."""
    with ExitStack() as stack:
        context = stack.enter_context(dg.build_init_resource_context())
        api = stack.enter_context(PurchaseApiResource(base_url=api_url).yield_for_execution(context))
        resource = PostgresIOManager(database_url=database_url)
        io_manager = stack.enter_context(resource.yield_for_execution(context))
        yield OurPath(api, landing_at(str(landing)), io_manager, lots)


class Ours(IntoSameTable):
    """A new lot, into tables that have none."""

    name = "this project"

    def __init__(self, path: OurPath, database_url: str) -> None:
        super().__init__(database_url)
        self._path = path

    def load(self, lote: str, rows: int) -> None:
        """Take the lot through the path."""
        self._path.load(lote, rows)


class OursReplacing(Ours):
    """A lot that is there already, fetched anew and put in its own place."""

    name = "this project, replacing a loaded lot"

    def __init__(self, path: OurPath, database_url: str, rows: int) -> None:
        super().__init__(path, database_url)
        self._rows = rows

    def prepare(self, lote: str) -> None:
        """Load the lot that is to be replaced."""
        self._path.load(lote, self._rows)
