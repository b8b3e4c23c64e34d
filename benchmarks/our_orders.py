"""Orders by this project: a feed's data path, with all that a run's process has imported."""

import os
from pathlib import Path

import dagster as dg

from benchmarks.data_sets import Order
from benchmarks.orders_api import INVALID, REALISTIC
from benchmarks.ours import path_of, table_metadata
from benchmarks.peers.loaded import Loaded
from purchase_pipeline.feeds import Feed, HttpSource
from purchase_pipeline.stack import preloaded

ORDERS = Feed(
    name="orders",
    contract=Order,
    source=HttpSource(dg.EnvVar("ORDERS_API_URL"), path="/orders", params={"partition": "{partition_key}"}),
    partitions=dg.StaticPartitionsDefinition([REALISTIC, INVALID]),
)
_METADATA = table_metadata(ORDERS)

os.environ[preloaded.MODULE] = __name__
preloaded.load()


def load(api_url: str, database_url: str, partition: str) -> Loaded:
    """Land and load a batch, as a run does."""
    os.environ["ORDERS_API_URL"] = api_url
    with path_of(ORDERS, _METADATA, Path("landing"), database_url) as path:
        return path.load(partition)
