"""Orders by dlt: dicts, the contract as its model of the columns, and its default way into PostgreSQL."""

import json
import os
from collections.abc import Iterator
from typing import Any

from benchmarks.data_sets import Order
from benchmarks.orders_api import INVALID
from benchmarks.peers.dlt_pipelines import SILENT, credentials
from benchmarks.peers.loaded import Loaded
from benchmarks.peers.orders import JSON, fetch_orders

os.environ.update(SILENT)  # dlt reads it when it is imported

import dlt

DATASET = "dlt_orders"


def load(api_url: str, database_url: str, partition: str) -> Loaded:
    """Load a batch into dlt's own table; invalid rows are dropped, which dlt does not report."""
    pipeline = dlt.pipeline(
        pipeline_name="orders",
        pipelines_dir="dlt",
        destination=dlt.destinations.postgres(credentials(database_url)),
        dataset_name=DATASET,
    )
    orders = dlt.resource(
        _orders(api_url, partition),
        name="orders",
        columns=Order,
        write_disposition="append",
        schema_contract=_contract(partition),
    )
    pipeline.run(orders).raise_on_failed_jobs()
    return Loaded(pipeline.last_trace.last_normalize_info.row_counts["orders"], None)


def _orders(api_url: str, partition: str) -> Iterator[Any]:
    yield json.loads(fetch_orders(api_url, partition, JSON))


def _contract(partition: str) -> Any:  # noqa: ANN401  (dlt's type)
    return {"columns": "discard_row", "data_type": "discard_row"} if partition == INVALID else None
