"""Conversion of Arrow columns to Python values: rows, dicts, and object columns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from purchase_pipeline.postgres.frames.exact import Array
from purchase_pipeline.postgres.frames.json_text import json_values
from purchase_pipeline.postgres.frames.rows import Row
from purchase_pipeline.postgres.schema.types import ColumnType, family

_FROM_ARROW: dict[str, Callable[[Any], Any]] = {
    "numeric": Decimal,
    "uuid": lambda value: UUID(bytes=value) if isinstance(value, bytes) else UUID(str(value)),
}


def python_rows(columns: Mapping[str, ColumnType], frame: Any) -> list[Row]:  # noqa: ANN401
    """Return a frame's rows as tuples."""
    values = [python_values(column_type, frame[name]) for name, column_type in columns.items()]
    return list(zip(*values, strict=True)) if values else [()] * frame.num_rows


def python_dicts(columns: Mapping[str, ColumnType], frame: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return a frame's rows as dicts."""
    return [dict(zip(columns, row, strict=True)) for row in python_rows(columns, frame)]


def python_values(column_type: Any, values: Array) -> Sequence[Any]:  # noqa: ANN401
    """Return a column's values as Decimal, UUID, dicts and lists where applicable; None for NULL."""
    kind = family(column_type)
    if kind == "array" and not pa.types.is_null(values.type):
        return _lists(column_type.item_type, values)
    if isinstance(values.type, pa.BaseExtensionType):
        values = storage_of(values)
    if kind == "interval" and pa.types.is_integer(values.type):  # the format in which intervals are read
        values = values.cast(pa.duration("us"))
    plain = values.to_pylist()
    if kind == "json":
        return json_values(plain)
    convert = _FROM_ARROW.get(kind)
    if convert is None:
        return plain  # type: ignore[no-any-return]
    return [None if value is None else convert(value) for value in plain]


def storage_of(values: Array) -> Array:
    """Return the storage of an extension type."""
    if isinstance(values, pa.ChunkedArray):
        return pa.chunked_array([chunk.storage for chunk in values.chunks], values.type.storage_type)
    return values.storage


def _lists(element_type: ColumnType, values: Array) -> list[list[Any] | None]:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    flat = python_values(element_type, values.flatten())
    lengths: list[int] = pc.fill_null(pc.list_value_length(values), 0).to_pylist()
    bounds = pairwise(accumulate(lengths, initial=0))
    missing: Iterator[bool] = iter(values.is_null().to_pylist())
    return [None if next(missing) else list(flat[first:beyond]) for first, beyond in bounds]
