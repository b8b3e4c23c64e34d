"""Orders as a polars frame, in the table's types."""

import polars as pl

from benchmarks.peers.orders import COLUMNS

_TEXTS = ("id", "name", "email", "street", "city", "postcode", "country", "note", "reference")
_READ_AS_TEXT = ("placed_at", "paid_at", "day")
_FLOATS = ("amount", "tax", "weight", "latitude", "longitude")
_SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys((*_TEXTS, *_READ_AS_TEXT), pl.String),
    **dict.fromkeys(_FLOATS, pl.Float64),
    "number": pl.Int64,
    "is_paid": pl.Boolean,
    "quantity": pl.Int32,
}
_AMOUNTS = pl.col("amount", "tax")


def read_orders(body: bytes, partition: str, *, ignore_errors: bool = False) -> pl.DataFrame:
    """Return the table's columns; decimals are still floats, which is how polars reads JSON's numbers.

    Args:
        body: NDJSON.
        partition: the partition's key.
        ignore_errors: whether a value of another type is null, rather than the end of the batch.
    """
    moments = pl.col("placed_at", "paid_at").str.to_datetime(
        "%+", time_unit="us", time_zone="UTC", strict=not ignore_errors
    )
    return (
        pl.read_ndjson(body, schema=_SCHEMA, ignore_errors=ignore_errors)
        .with_columns(moments, pl.col("day").str.to_date("%Y-%m-%d", strict=not ignore_errors))
        .with_row_index("row_number", offset=1)
        .with_columns(pl.lit(partition).alias("partition_key"), pl.col("row_number").cast(pl.Int32))
        .select(COLUMNS)
    )


def with_decimals(orders: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with its amounts as decimals of two places."""
    return orders.with_columns(_AMOUNTS.cast(pl.Decimal(12, 2)))
