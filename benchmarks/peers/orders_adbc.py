"""Orders by ADBC: Arrow's NDJSON reader, and `adbc_ingest` of the table; no validation."""

import io

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
from adbc_driver_postgresql import dbapi

from benchmarks.peers.loaded import Loaded
from benchmarks.peers.orders import COLUMNS, fetch_orders

_MOMENT, _AMOUNT = pa.timestamp("us", "UTC"), pa.decimal128(12, 2)
_READ_AS = {
    "id": pa.string(),
    "number": pa.int64(),
    **dict.fromkeys(("name", "email", "street", "city", "postcode", "country"), pa.string()),
    **dict.fromkeys(("amount", "tax", "weight", "latitude", "longitude"), pa.float64()),
    "placed_at": _MOMENT,
    "paid_at": _MOMENT,
    "day": pa.string(),  # its reader has no dates
    "is_paid": pa.bool_(),
    "note": pa.string(),
    "quantity": pa.int32(),
    "reference": pa.string(),
}


def load(api_url: str, database_url: str, partition: str) -> Loaded:
    """Load a batch in one transaction."""
    options = pj.ParseOptions(explicit_schema=pa.schema(_READ_AS))
    read = pj.read_json(io.BytesIO(fetch_orders(api_url, partition)), parse_options=options)
    columns = dict(zip(read.column_names, read.columns, strict=True))
    hexadecimal = pc.replace_substring(columns["id"], "-", "")
    columns |= {
        "id": pa.array([bytes.fromhex(text) for text in hexadecimal.to_pylist()], pa.binary(16)),
        "amount": columns["amount"].cast(_AMOUNT),
        "tax": columns["tax"].cast(_AMOUNT),
        "day": columns["day"].cast(pa.date32()),
        "partition_key": pa.repeat(partition, read.num_rows),
        "row_number": pa.array(range(1, read.num_rows + 1), pa.int32()),
    }
    table = pa.table({name: columns[name] for name in COLUMNS})
    with dbapi.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("orders", table, mode="append")
        connection.commit()
    return Loaded(read.num_rows)
