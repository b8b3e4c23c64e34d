"""The pipeline's Dagster definitions. Importing this module reads, opens and connects to nothing."""

from typing import Any

import dagster as dg

from purchase_pipeline.feeds.assets import ingest_lote, raw_purchases, validated_purchases
from purchase_pipeline.feeds.checks import loaded_lots
from purchase_pipeline.feeds.resources import (
    LandingResource,
    LotLedgerResource,
    PurchaseApiResource,
    PurchasesIOManager,
)
from purchase_pipeline.feeds.sensors import missing_lots
from purchase_pipeline.sales.assets import sales_marts, sales_report, sums
from purchase_pipeline.sales.automation import refresh_sales, stale_sales, sum_lots
from purchase_pipeline.sales.resources import ReportFileResource
from purchase_pipeline.settings import Settings, current_settings, is_environment_variable
from purchase_pipeline.stack.database import database_url


@dg.definitions
def defs() -> dg.Definitions:
    """Build the definitions from the environment's settings."""
    return build_definitions(current_settings())


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the purchases feed and the sales that are computed from it."""
    lotes = dg.StaticPartitionsDefinition(settings.lote_names)
    url = _by_name("DATABASE_URL", database_url(settings))
    return dg.Definitions(
        assets=[
            raw_purchases(settings, lotes),
            validated_purchases(settings, lotes),
            sums(lotes),
            sales_marts,
            sales_report,
        ],
        asset_checks=[loaded_lots(settings, lotes)],
        jobs=[ingest_lote, sum_lots, refresh_sales],
        sensors=[missing_lots(settings), stale_sales],
        resources={
            "purchase_api": _fixed(
                PurchaseApiResource(
                    base_url=_by_name("PURCHASE_API_URL", settings.api_url),
                    rate=settings.api_rate,
                    redis_url=_by_name("PURCHASE_REDIS_URL", "") or None,
                )
            ),
            "landing": _fixed(LandingResource(location=settings.landing_location)),
            "lot_ledger": _fixed(LotLedgerResource(database_url=url)),
            "report_file": _fixed(ReportFileResource(database_url=url, path=str(settings.report_file))),
            "io_manager": _fixed(PurchasesIOManager(database_url=url)),
        },
        executor=dg.in_process_executor,
    )


def _by_name(variable: str, value: str) -> str:
    """Refer to a value by its environment variable if set, so that Dagster's UI does not show a password."""
    return dg.EnvVar(variable) if is_environment_variable(variable) else value


def _fixed(
    resource: dg.ConfigurableResource[Any] | dg.ConfigurableIOManagerFactory[Any],
) -> dg.ResourceDefinition:
    """Fix a resource's configuration, so that run configuration cannot choose another file, API or database.

    Dagster's UI then shows no values, so they are added to the description, with secrets by variable name.
    """
    definition = resource.get_resource_definition()
    schema = definition.config_schema
    description = f"{definition.description}\n\nSet by the deployment: `{schema.default_value_as_json_str}`"
    return definition.configured(schema.default_value, config_schema={}, description=description)
