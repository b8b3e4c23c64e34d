"""Orders by polars: its NDJSON reader, its CSV writer, and COPY of the whole text; no validation."""

import psycopg

from benchmarks.peers.loaded import Loaded
from benchmarks.peers.orders import COPY_CSV, fetch_orders
from benchmarks.peers.orders_frame import read_orders, with_decimals


def load(api_url: str, database_url: str, partition: str) -> Loaded:
    """Load a batch in one transaction."""
    orders = with_decimals(read_orders(fetch_orders(api_url, partition), partition))
    text = orders.write_csv(include_header=False).encode()
    with (
        psycopg.connect(database_url) as connection,
        connection.cursor() as cursor,
        cursor.copy(COPY_CSV) as copy,
    ):
        copy.write(text)
    return Loaded(len(orders))
