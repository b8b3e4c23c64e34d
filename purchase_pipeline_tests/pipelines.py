"""The pipeline's own assets, put together for a test: a real API, a landing folder, a database."""

from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from purchase_pipeline import assets, checks
from purchase_pipeline.jobs import ingest_lote, refresh_sales, sum_lots
from purchase_pipeline.resources import (
    LandingResource,
    LotLedgerResource,
    PurchaseApiResource,
    PurchasesIOManager,
    ReportFileResource,
)
from purchase_pipeline.sales import assets as sales_assets


def a_pipeline(api_url: str, landing: Path, database_url: str, /, **resources: object) -> dg.Definitions:
    """Return the pipeline against these three; a resource that is given takes the usual one's place."""
    return dg.Definitions(
        assets=dg.load_assets_from_modules([assets, sales_assets]),
        asset_checks=dg.load_asset_checks_from_modules([checks]),
        jobs=[ingest_lote, sum_lots, refresh_sales],
        resources={
            "purchase_api": PurchaseApiResource(base_url=api_url),
            "landing": LandingResource(place=str(landing)),
            "lot_ledger": LotLedgerResource(database_url=database_url),
            "report_file": ReportFileResource(database_url=database_url, path=str(landing / "report.html")),
            "io_manager": PurchasesIOManager(database_url=database_url),
            **resources,
        },
        executor=dg.in_process_executor,
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
