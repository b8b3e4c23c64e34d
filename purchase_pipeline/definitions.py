"""The pipeline's Dagster definitions. Importing this module reads, opens and connects to nothing."""

import dagster as dg

from purchase_pipeline.feeds.links import linked, with_own_code
from purchase_pipeline.feeds.resources import by_name, fixed
from purchase_pipeline.purchases import purchases
from purchase_pipeline.sales.assets import sales_marts, sales_report, sums
from purchase_pipeline.sales.automation import stale_sales
from purchase_pipeline.sales.resources import MartIOManager, ReportFileResource, SalesTotalsResource
from purchase_pipeline.settings import Settings, current_settings
from purchase_pipeline.stack.database import database_url

_PREVIEW_ROWS = 10


@dg.definitions
def defs() -> dg.Definitions:
    """Build the definitions from the environment's settings."""
    return build_definitions(current_settings())


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the purchases feed and the sales that are computed from it."""
    feed = purchases(settings)
    url = by_name("DATABASE_URL", database_url(settings))
    sales = dg.Definitions(
        assets=linked(
            with_own_code([sums(feed.partitions), sales_marts, sales_report]), settings.repository_url
        ),
        sensors=[stale_sales],
        resources={
            "report_file": fixed(ReportFileResource(database_url=url, path=str(settings.report_file))),
            "sales_totals": fixed(SalesTotalsResource(database_url=url)),
            "io_manager": fixed(
                MartIOManager(
                    database_url=url,
                    schema_drift="evolve",  # a table of an earlier version is extended
                    preview_rows=_PREVIEW_ROWS,
                )
            ),
        },
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(feed.definitions(settings), sales)
