"""What Dagster loads: the table of contents of the pipeline."""

from typing import Any

import dagster as dg

from purchase_pipeline import assets, checks
from purchase_pipeline.database import database_url
from purchase_pipeline.jobs import ingest_lote, refresh_sales, sum_lots
from purchase_pipeline.resources import (
    LandingResource,
    LotLedgerResource,
    PurchaseApiResource,
    PurchasesIOManager,
    ReportFileResource,
)
from purchase_pipeline.sales import assets as sales_assets
from purchase_pipeline.sales.automation import stale_sales
from purchase_pipeline.sensors import missing_lots
from purchase_pipeline.settings import current_settings, is_environment_variable

_settings = current_settings()


def _by_name(variable: str, value: str) -> str:
    """Hand on a value that may hold a password by its variable's name, which is what Dagster's UI then shows."""
    return dg.EnvVar(variable) if is_environment_variable(variable) else value


def _fixed(
    resource: dg.ConfigurableResource[Any] | dg.ConfigurableIOManagerFactory[Any],
) -> dg.ResourceDefinition:
    """Bind a resource to its values: run configuration cannot choose another file, API or database.

    Dagster's page of the resource shows no values then: its description does, a secret by its variable's name.
    """
    definition = resource.get_resource_definition()
    schema = definition.config_schema
    shown = f"{definition.description}\n\nSet by the deployment: `{schema.default_value_as_json_str}`"
    return definition.configured(schema.default_value, config_schema={}, description=shown)


_database_url = _by_name("DATABASE_URL", database_url(_settings))

defs = dg.Definitions(
    assets=dg.load_assets_from_modules([assets, sales_assets]),
    asset_checks=dg.load_asset_checks_from_modules([checks]),
    jobs=[ingest_lote, sum_lots, refresh_sales],
    sensors=[missing_lots, stale_sales],
    resources={
        "purchase_api": _fixed(
            PurchaseApiResource(
                base_url=_by_name("PURCHASE_API_URL", _settings.api_url),
                rate=_settings.api_rate,
                redis_url=_by_name("PURCHASE_REDIS_URL", "") or None,
            )
        ),
        "landing": _fixed(LandingResource(place=_settings.landing_place)),
        "lot_ledger": _fixed(LotLedgerResource(database_url=_database_url)),
        "report_file": _fixed(
            ReportFileResource(database_url=_database_url, path=str(_settings.report_file))
        ),
        "io_manager": _fixed(PurchasesIOManager(database_url=_database_url)),
    },
    executor=dg.in_process_executor,
)
