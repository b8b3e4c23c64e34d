"""Orders by hand: the contract's `model_validate_json` a line, and psycopg's binary COPY a row."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from benchmarks.data_sets import Order
from benchmarks.peers.loaded import Loaded
from benchmarks.peers.orders import copy_valid, fetch_orders


def load(api_url: str, database_url: str, partition: str) -> Loaded:
    """Load a batch in one transaction; rejected rows are collected with their errors."""
    lines = fetch_orders(api_url, partition).splitlines()
    return copy_valid(database_url, partition, lines, _values, ValidationError)


def _values(line: bytes) -> Iterable[Any]:
    return Order.model_validate_json(line).__dict__.values()
