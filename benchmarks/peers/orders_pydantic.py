"""Orders by hand: the contract's `model_validate_json` a line, and psycopg's binary COPY a row."""

import psycopg
from pydantic import ValidationError

from benchmarks.data_sets import Order
from benchmarks.peers.loaded import Loaded
from benchmarks.peers.orders import COPY_BINARY, TYPES, fetch_orders


def load(api_url: str, database_url: str, partition: str) -> Loaded:
    """Load a batch in one transaction; rejected rows are collected with their errors."""
    stored, rejected = 0, list[tuple[int, ValidationError]]()
    lines = fetch_orders(api_url, partition).splitlines()
    with (
        psycopg.connect(database_url) as connection,
        connection.cursor() as cursor,
        cursor.copy(COPY_BINARY) as copy,
    ):
        copy.set_types(list(TYPES.values()))
        for number, line in enumerate(lines, 1):
            try:
                order = Order.model_validate_json(line)
            except ValidationError as error:
                rejected.append((number, error))
            else:
                copy.write_row((partition, number, *order.__dict__.values()))
                stored += 1
    return Loaded(stored, len(rejected))
