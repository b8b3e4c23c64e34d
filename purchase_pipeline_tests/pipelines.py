"""The production wiring, with other settings: a real API, a landing folder, a database."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from pydantic import SecretStr

from purchase_pipeline.definitions import build_definitions
from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.ingest.sources.request import Source
from purchase_pipeline.purchases import purchases
from purchase_pipeline.settings import Settings, current_settings


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
