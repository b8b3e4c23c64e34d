"""Dagster definitions: a day of orders is landed, validated and loaded into two tables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import httpx
import sqlalchemy as sa

from examples.orders.contract import ORDERS, ORDERS_REJECTED, Order
from examples.orders.source import OrdersApi
from purchase_pipeline.feeds.resources import LandingResource, PurchasesIOManager
from purchase_pipeline.ingest.formats import NDJSON
from purchase_pipeline.ingest.landing.manifest import LandedPartition
from purchase_pipeline.ingest.landing.store import Landing
from purchase_pipeline.ingest.sources.request import Page
from purchase_pipeline.ingest.validation import RowValidation
from purchase_pipeline.postgres import RowStream, Together
from purchase_pipeline.postgres.frames.rows import Row
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
    landed = landing.land(day, lambda add_page: add_page(Page(NDJSON, [b"\n".join(orders)])))
    return dg.MaterializeResult(
        metadata={
            "dagster/partition_row_count": landed.rows,
            "file": dg.MetadataValue.path(landing.backend.address_of(landed.file_name)),
        },
        data_version=dg.DataVersion(landed.digest),
    )


def _table_out(table: sa.Table, **more: Any) -> dg.AssetOut:  # noqa: ANN401  (AssetOut's types)
    return dg.AssetOut(
        description=table.comment, metadata={"partition_expr": "day"}, kinds={"postgres", "table"}, **more
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
    slices = _slices(landed, landing)
    yield dg.Output(slices, ORDERS.name, metadata={"source_rows": landed.rows, "digest": landed.digest})
    # Both tables have been committed by now, in one transaction.
    yield dg.MaterializeResult(asset_key=ORDERS_REJECTED.name, metadata=slices.written[ORDERS_REJECTED.name])


def _slices(landed: LandedPartition, landing: Landing) -> Together:
    validation = RowValidation(
        landed.partition,
        received=landed.rows,
        max_rejected_ratio=current_settings().max_rejected_ratio,
        today=datetime.now(UTC).date(),
        contract=Order,
    )

    def accepted() -> Iterator[Sequence[Row]]:
        with landing.open_rows(landed) as raw_rows:
            yield from validation.accepted(raw_rows)

    def rejected() -> Iterator[Sequence[Row]]:  # consumed after accepted(), when all rows are validated
        yield [(landed.partition, *row) for row in validation.rejected]

    return Together(
        RowStream(ORDERS.columns.keys(), accepted(), ORDERS),
        {ORDERS_REJECTED.name: RowStream(ORDERS_REJECTED.columns.keys(), rejected(), ORDERS_REJECTED)},
    )


defs = dg.Definitions(
    assets=[raw_orders, validated_orders],
    resources={
        "orders_api": OrdersApiResource(base_url=dg.EnvVar("ORDERS_API_URL")),
        "landing": LandingResource(location=str(current_settings().home / "orders")),
        # As an environment variable if possible: the Dagster UI shows its name, not the password.
        "io_manager": PurchasesIOManager(
            database_url=dg.EnvVar("DATABASE_URL")
            if is_environment_variable("DATABASE_URL")
            else database_url(current_settings())
        ),
    },
    executor=dg.in_process_executor,
)
