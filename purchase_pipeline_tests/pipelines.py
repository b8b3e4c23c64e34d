"""The production wiring, with other settings: a real API, a landing folder, a database."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from pydantic import SecretStr

from mock_api.app import create_app
from purchase_pipeline.definitions import build_definitions
from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.ingest.sources.request import Source
from purchase_pipeline.purchases import purchases
from purchase_pipeline.sales.marts import MARTS
from purchase_pipeline.sales.tables import SALES_BY_LOT
from purchase_pipeline.settings import Settings, current_settings
from purchase_pipeline_tests.databases import Databases
from purchase_pipeline_tests.serving import served


def a_pipeline(api_url: str, landing: Path | str, database_url: str) -> dg.Definitions:
    """Return the pipeline of three batches, with all of its own definitions."""
    return build_definitions(
        Settings(lots=3, api_url=api_url, landing=str(landing), database_url=SecretStr(database_url))
    )


def a_feed(*lots: str) -> Feed:
    """Return the purchases feed with these batches."""
    return replace(purchases(current_settings()), partitions=dg.StaticPartitionsDefinition(lots))


def with_api(pipeline: dg.Definitions, api: Source) -> dg.Definitions:
    """Return the pipeline with another way to its API: a shorter deadline, fewer attempts."""
    return dg.Definitions(
        assets=pipeline.assets,
        asset_checks=pipeline.asset_checks,
        jobs=pipeline.jobs,
        resources={**(pipeline.resources or {}), "purchases_source": api},
        executor=pipeline.executor,
    )


def ingest(  # noqa: PLR0913  (one a setting of the job)
    pipeline: dg.Definitions,
    lote: str = "lote-0001",
    *,
    rows: int = 200,
    refetch: bool = False,
    max_rejected_ratio: float = 0.05,
    instance: dg.DagsterInstance | None = None,
    last: str | None = None,
) -> dg.ExecuteInProcessResult:
    """Load one lot, or all to the last in one run, through the job, and return how it went."""
    several = {ASSET_PARTITION_RANGE_START_TAG: lote, ASSET_PARTITION_RANGE_END_TAG: last or lote}
    return pipeline.resolve_job_def("ingest_lote").execute_in_process(
        partition_key=None if last else lote,
        tags=several if last else None,
        run_config={
            "ops": {
                "raw_purchases": {"config": {"rows": rows, "refetch": refetch}},
                "validated_purchases": {"config": {"max_rejected_ratio": max_rejected_ratio}},
            },
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        instance=instance,
        raise_on_error=False,
    )


def sum_up(
    pipeline: dg.Definitions, first: str, last: str, instance: dg.DagsterInstance | None = None
) -> dg.ExecuteInProcessResult:
    """Aggregate consecutive lots in one run, and return how it went."""
    ends = {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}
    return pipeline.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[dg.AssetKey(SALES_BY_LOT.name)], tags=ends, instance=instance, raise_on_error=False
    )


def update_marts(
    pipeline: dg.Definitions, instance: dg.DagsterInstance | None = None
) -> dg.ExecuteInProcessResult:
    """Update all marts in one run, and return how it went."""
    marts = [dg.AssetKey(mart.table.name) for mart in MARTS]
    return pipeline.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=marts, instance=instance, raise_on_error=False
    )


@dataclass(frozen=True)
class TwoBatches:
    """Two loaded batches, to be copied: a load costs ten times as much."""

    databases: Databases
    database: str
    landing: Path

    def copy(self, engine: sa.Engine, landing: Path) -> None:
        """Copy the batches into an empty database and landing."""
        assert engine.url.database is not None
        self.databases.copy(self.database, engine.url.database)
        shutil.copytree(self.landing, landing, dirs_exist_ok=True)


@contextmanager
def two_batches(databases: Databases, landing: Path, *, rows: int, defects: float) -> Iterator[TwoBatches]:
    """Load two batches for a module's tests."""
    database = databases.take()
    with served(create_app(defects=defects)) as url:
        pipeline = a_pipeline(url, landing, databases.url(database))
        assert all(ingest(pipeline, lote, rows=rows).success for lote in ("lote-0001", "lote-0002"))
    yield TwoBatches(databases, database, landing)
    databases.give_back(database)
