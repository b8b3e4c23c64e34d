"""What the peers of the benchmark `orders` share: the request, and the table's columns."""

import ssl
from collections.abc import Callable, Iterable
from typing import Any

import httpcore  # noqa: F401  # httpx imports it with its first client, and imports are not timed
import httpx
import psycopg

from benchmarks.peers.loaded import Loaded

NDJSON, JSON = "application/x-ndjson", "application/json"
TYPES = {
    "partition_key": "text",
    "row_number": "int4",
    "id": "uuid",
    "number": "int8",
    **dict.fromkeys(("name", "email", "street", "city", "postcode", "country"), "text"),
    **dict.fromkeys(("amount", "tax"), "numeric"),
    **dict.fromkeys(("weight", "latitude", "longitude"), "float8"),
    **dict.fromkeys(("placed_at", "paid_at"), "timestamptz"),
    "day": "date",
    "is_paid": "bool",
    "note": "text",
    "quantity": "int4",
    "reference": "text",
}
"""The columns and their types in PostgreSQL, in the table's order."""

COLUMNS = tuple(TYPES)

_COPY = f"COPY orders ({', '.join(COLUMNS)}) FROM STDIN"
COPY_CSV, COPY_BINARY = f"{_COPY} (FORMAT csv)", f"{_COPY} (FORMAT binary)"
_TIMEOUT_SECONDS = 60


def fetch_orders(api_url: str, partition: str, media_type: str = NDJSON) -> bytes:
    """Return the body of a batch. No certificate authorities are loaded, which takes 25 ms: the URL is http."""
    with httpx.Client(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), timeout=_TIMEOUT_SECONDS) as client:
        response = client.get(
            f"{api_url}/orders", params={"partition": partition}, headers={"Accept": media_type}
        )
        return response.raise_for_status().content


def copy_valid(
    database_url: str,
    partition: str,
    lines: Iterable[bytes],
    values_of: Callable[[bytes], Iterable[Any]],
    invalid: type[Exception],
) -> Loaded:
    """Write the lines that are valid by binary COPY, a row at a time; those that are not are collected."""
    stored, rejected = 0, list[tuple[int, Exception]]()
    with (
        psycopg.connect(database_url) as connection,
        connection.cursor() as cursor,
        cursor.copy(COPY_BINARY) as copy,
    ):
        copy.set_types(list(TYPES.values()))
        for number, line in enumerate(lines, 1):
            try:
                values = values_of(line)
            except invalid as error:
                rejected.append((number, error))
            else:
                copy.write_row((partition, number, *values))
                stored += 1
    return Loaded(stored, len(rejected))
