"""Orders by pandera: a polars frame, a schema with the contract's types and bounds, and ADBC's ingest."""

from datetime import UTC, datetime

import pandera.polars as pa
import polars as pl
from adbc_driver_postgresql import dbapi
from pandera.api.polars.types import PolarsData

from benchmarks.peers.loaded import Loaded
from benchmarks.peers.orders import fetch_orders
from benchmarks.peers.orders_frame import read_orders, with_decimals

_MOST_AMOUNT = 1e10  # of NUMERIC(12, 2)


def _fits(data: PolarsData) -> pl.LazyFrame:
    """Return whether amounts have at most 10 digits before the decimal point and 2 after it."""
    amount = pl.col(data.key)
    fits: pl.LazyFrame = data.lazyframe.select((amount.abs() < _MOST_AMOUNT) & (amount.round(2) == amount))
    return fits


_TEXT = [pa.Check.str_matches(r"^[^\x00]*[^\x00\s][^\x00]*$"), pa.Check.str_length(max_value=1000)]
_LONG_TEXT = pa.Check.str_matches(r"^[^\x00]*$")
_UUID = pa.Check.str_matches(r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")
_MOMENT = pl.Datetime("us", "UTC")
_FROM_1970 = [
    pa.Check.ge(datetime(1970, 1, 1, tzinfo=UTC)),
    pa.Check.lt(datetime(9999, 12, 31, tzinfo=UTC)),
]
_ORDERS = pa.DataFrameSchema(
    {
        "id": pa.Column(pl.String, _UUID),
        "number": pa.Column(pl.Int64),
        **{
            name: pa.Column(pl.String, _TEXT)
            for name in ("name", "email", "street", "city", "postcode", "country")
        },
        **{name: pa.Column(pl.Float64, pa.Check(_fits)) for name in ("amount", "tax")},
        **{name: pa.Column(pl.Float64) for name in ("weight", "latitude", "longitude")},
        "placed_at": pa.Column(_MOMENT, _FROM_1970),
        "paid_at": pa.Column(_MOMENT, _FROM_1970, nullable=True),
        "day": pa.Column(pl.Date),
        "is_paid": pa.Column(pl.Boolean),
        "note": pa.Column(pl.String, _LONG_TEXT, nullable=True),
        "quantity": pa.Column(pl.Int32),
        "reference": pa.Column(pl.String, _LONG_TEXT, nullable=True),
    },
    drop_invalid_rows=True,
)


def load(api_url: str, database_url: str, partition: str) -> Loaded:
    """Load a batch in one transaction; rejected rows are kept as a frame."""
    received = read_orders(fetch_orders(api_url, partition), partition, ignore_errors=True)
    valid = _ORDERS.validate(received, lazy=True)
    rejected = received.join(valid, on="row_number", how="anti")
    id_bytes = pl.col("id").str.replace_all("-", "", literal=True).str.decode("hex")
    table = with_decimals(valid).with_columns(id_bytes).to_arrow()
    with dbapi.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("orders", table, mode="append")
        connection.commit()
    return Loaded(len(valid), len(rejected))
