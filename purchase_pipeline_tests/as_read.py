"""Columns in the format in which they are read from the server."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pyarrow as pa

from purchase_pipeline.postgres.frames.rows import Batch
from purchase_pipeline.postgres.frames.to_python import python_rows
from purchase_pipeline.postgres.schema.types import ColumnType, family

_KINDS = {
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "bytes": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "interval": pa.int64(),
    "timestamp": pa.timestamp("us"),
    "zoned timestamp": pa.timestamp("us", "UTC"),
    "numeric": pa.string(),
    "json": pa.string(),
}


def as_read(column_type: Any, values: Sequence[Any]) -> pa.Table:  # noqa: ANN401  # any column type, an array's too
    """Return a table of one column, `value`, as `read_batches` yields it."""
    return pa.table({"value": pa.array([_raw(column_type, value) for value in values], _kind(column_type))})


def values_in(batch: Batch) -> list[Any]:
    """Return the values of the batch's last column."""
    return [row[-1] for row in python_rows(batch.types, batch.frame)]


def _kind(column_type: Any) -> pa.DataType:  # noqa: ANN401
    if family(column_type) == "array":
        element = column_type.item_type
        return pa.list_(pa.string() if family(element) == "uuid" else _kind(element))
    return pa.uuid() if family(column_type) == "uuid" else _KINDS[family(column_type)]


def _raw(column_type: Any, value: Any) -> Any:  # noqa: ANN401
    kind = family(column_type)
    if value is None:
        return None
    if kind == "array":
        inner: ColumnType = column_type.item_type
        raw = [_raw(inner, one) for one in value]
        return [one and str(one) for one in value] if family(inner) == "uuid" else raw
    if kind == "numeric":
        return f"{value:f}"
    if kind == "interval":
        return value // timedelta(microseconds=1)
    if kind == "uuid":
        return value.bytes
    return json.dumps(value, ensure_ascii=False) if kind == "json" else value
