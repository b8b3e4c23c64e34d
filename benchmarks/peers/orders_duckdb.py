"""Orders by DuckDB: its JSON reader, its CSV writer, and COPY of the file; no validation.

Its extension for PostgreSQL is downloaded when it is first used; PyPI has none for the current version.
"""

from pathlib import Path

import duckdb
import psycopg

from benchmarks.peers.loaded import Loaded
from benchmarks.peers.orders import COPY_CSV, fetch_orders

_COLUMNS = {
    "id": "UUID",
    "number": "BIGINT",
    **dict.fromkeys(("name", "email", "street", "city", "postcode", "country"), "VARCHAR"),
    **dict.fromkeys(("amount", "tax"), "DECIMAL(12, 2)"),
    **dict.fromkeys(("weight", "latitude", "longitude"), "DOUBLE"),
    **dict.fromkeys(("placed_at", "paid_at"), "TIMESTAMPTZ"),
    "day": "DATE",
    "is_paid": "BOOLEAN",
    "note": "VARCHAR",
    "quantity": "INTEGER",
    "reference": "VARCHAR",
}
_CHUNK_BYTES = 1 << 20


def load(api_url: str, database_url: str, partition: str) -> Loaded:
    """Load a batch in one transaction."""
    received, text = Path("orders.ndjson"), Path("orders.csv")
    received.write_bytes(fetch_orders(api_url, partition))
    with duckdb.connect() as database:
        read = database.read_json(str(received), format="newline_delimited", columns=_COLUMNS)
        numbered = read.project(f"'{partition}', row_number() OVER (), *")
        numbered.write_csv(str(text), header=False)
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        with text.open("rb") as file, cursor.copy(COPY_CSV) as copy:
            while chunk := file.read(_CHUNK_BYTES):
                copy.write(chunk)
        return Loaded(cursor.rowcount)
