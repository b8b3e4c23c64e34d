"""Dagster definitions: a day of orders is landed, validated and loaded into two tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import httpx
import sqlalchemy as sa

from examples.orders.contract import ORDERS, ORDERS_REJECTED, TABLES
from examples.orders.source import OrdersApi
from purchase_pipeline.feeds.resources import FeedIOManager, LandingResource
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.load import LandedSlices
from purchase_pipeline.ingest.row_splitter import RawFormat
from purchase_pipeline.postgres import Together
from purchase_pipeline.settings import current_settings, is_environment_variable
from purchase_pipeline.stack.database import database_url

GROUP = "orders"

days = dg.DailyPartitionsDefinition("2026-01-01")


class OrdersApiResource(dg.ConfigurableResource[OrdersApi]):
    """The URL of the orders API, and the number of attempts for each page."""

    base_url: str
    attempts: int = 5

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[OrdersApi]:  # noqa: ARG002
        """Open a client for the run, and close it afterwards."""
        with httpx.Client(base_url=self.base_url, timeout=30.0) as client:
            yield OrdersApi(client, attempts=self.attempts)


@dg.asset(partitions_def=days, group_name=GROUP, kinds={"http", "file"})
def raw_orders(
    context: dg.AssetExecutionContext,
    orders_api: dg.ResourceParam[OrdersApi],
    landing: dg.ResourceParam[Landing],
) -> dg.MaterializeResult[None]:
    """Orders as the API sent them: one compressed file per day, with the items of all pages as one JSON array."""
    day = context.partition_key
    orders = orders_api.fetch_day(day)
    landed = landing.land(day, RawFormat.JSON_ARRAY, [b"[", b",".join(orders), b"]"], rows=len(orders))
    return dg.MaterializeResult(
        metadata={
            "dagster/partition_row_count": landed.rows,
            "file": dg.MetadataValue.path(landing.backend.address_of(landed.file_name)),
        },
        data_version=dg.DataVersion(landed.digest),
    )


def _table_out(table: sa.Table, **more: Any) -> dg.AssetOut:  # noqa: ANN401  (AssetOut's types)
    return dg.AssetOut(
        description=table.comment,
        metadata={"partition_expr": "CAST(day AS TIMESTAMP)"},
        kinds={"postgres", "table"},
        **more,
    )


@dg.multi_asset(
    outs={
        ORDERS.name: _table_out(ORDERS),
        ORDERS_REJECTED.name: _table_out(ORDERS_REJECTED, dagster_type=dg.Nothing),
    },
    deps=[raw_orders],
    partitions_def=days,
    group_name=GROUP,
)
def validated_orders(
    context: dg.AssetExecutionContext, landing: dg.ResourceParam[Landing]
) -> Iterator[dg.Output[Together] | dg.MaterializeResult[None]]:
    """Validate each order of a landed day: valid ones go into one table, rejected ones into the other."""
    day = context.partition_key
    landed = landing.find(day)
    if landed is None:
        raise dg.Failure(
            f"{day} has not landed. Materialize raw_orders for this day first.", allow_retries=False
        )
    slices = LandedSlices(
        landed,
        landing,
        TABLES,
        max_rejected_ratio=current_settings().max_rejected_ratio,
        run_id=context.run.run_id,
    ).slices()
    yield dg.Output(slices, ORDERS.name, metadata={"source_rows": landed.rows, "digest": landed.digest})
    # Both tables have been committed by now, in one transaction.
    yield dg.MaterializeResult(asset_key=ORDERS_REJECTED.name, metadata=slices.written[ORDERS_REJECTED.name])


defs = dg.Definitions(
    assets=[raw_orders, validated_orders],
    resources={
        "orders_api": OrdersApiResource(base_url=dg.EnvVar("ORDERS_API_URL")),
        "landing": LandingResource(location=str(current_settings().home / "orders")),
        # As an environment variable if possible: the Dagster UI shows its name, not the password.
        "io_manager": FeedIOManager(
            database_url=dg.EnvVar("DATABASE_URL")
            if is_environment_variable("DATABASE_URL")
            else database_url(current_settings())
        ),
    },
    executor=dg.in_process_executor,
)
