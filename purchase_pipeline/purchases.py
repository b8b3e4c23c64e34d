"""The purchases feed: batches (lotes) of the purchase API, in `tabela_compras` and `compras_rejeitadas`."""

from datetime import timedelta

import dagster as dg
from pydantic import Field

from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.feeds.resources import PurchaseApiResource, by_name, fixed
from purchase_pipeline.ingest.tables import feed_tables
from purchase_pipeline.settings import Settings

OWNERS = ["team:purchases"]
TAGS = {"domain": "purchases"}
DATABASE_POOL = "purchase_database"
_ROWS_PER_RUN = 250_000  # the overhead of a run equals that of loading some 20,000 rows
PURCHASES = feed_tables(
    CompraSchema,
    "tabela_compras",
    "compras_rejeitadas",
    partition="lote",
    row_number="linha",
    row_id="id",
    comment="Valid purchases, one row each",
)
TABELA_COMPRAS, COMPRAS_REJEITADAS = PURCHASES.both


def purchases(settings: Settings) -> Feed:
    """Declare the feed."""
    api = PurchaseApiResource(
        base_url=by_name("PURCHASE_API_URL", settings.api_url),
        rate=settings.api_rate,
        redis_url=by_name("PURCHASE_REDIS_URL", "") or None,
    )
    return Feed(
        name="purchases",
        source=fixed(api),
        tables=PURCHASES,
        partitions=dg.StaticPartitionsDefinition(settings.lote_names),
        variables={"rows": Field(default=settings.rows, ge=1, le=1_000_000, description="Rows in the batch")},
        max_rejected_ratio=settings.max_rejected_ratio,
        every=settings.every,
        partitions_per_run=max(1, _ROWS_PER_RUN // settings.rows),
        hash_partitions=settings.hash_partitions,
        freshness=dg.FreshnessPolicy.time_window(
            fail_window=timedelta(days=1), warn_window=timedelta(hours=12)
        ),
        job="ingest_lote",
        sensor="missing_lots",
        group="ingest",
        api_pool="purchase_api",
        database_pool=DATABASE_POOL,
        owners=OWNERS,
        tags=TAGS,
        documentation="docs/reliability.md",
    )
