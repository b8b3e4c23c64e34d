"""The purchases feed: batches (lotes) of the purchase API, in `tabela_compras` and `compras_rejeitadas`."""

from datetime import timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from purchase_pipeline.contracts import CompraSchema
from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.ingest.formats import JSON_ARRAY, NDJSON
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.ingest.sources.variables import Deferred, Known
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


def purchase_source(url: str | Deferred, **more: Any) -> HttpSource:  # noqa: ANN401  (HttpSource's types)
    """Return the purchase API as a source: one route, and a batch of `rows` rows.

    It uses the mock API's extensions where available. A server that ignores `lote` and `Accept`, and sends a plain JSON
    array, works too.
    """
    return HttpSource(
        url,
        path="/gerar_compra/{rows}",
        params={"lote": "{partition_key}"},
        headers={"Accept": f"{NDJSON.media_type}, {JSON_ARRAY.media_type};q=0.9"},
        expect_rows="{rows}",
        **more,
    )


def purchases(settings: Settings) -> Feed:
    """Declare the feed."""
    redis_url = settings.redis_url and Known("PURCHASE_REDIS_URL", settings.redis_url.get_secret_value())
    url = Known("PURCHASE_API_URL", settings.api_url)
    return Feed(
        name="purchases",
        source=purchase_source(url, rate=settings.api_rate, redis_url=redis_url),
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
        landing=settings.landing_location,
        api_asset="purchase_api",
        api_pool="purchase_api",
        database_pool=DATABASE_POOL,
        owners=OWNERS,
        tags=TAGS,
        documentation="docs/reliability.md",
    )
