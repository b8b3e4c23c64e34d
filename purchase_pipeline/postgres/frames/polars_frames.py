"""polars frames: columns by dtype, null as NULL. Imported only if polars is in use."""

from collections.abc import Mapping
from typing import Any

import polars as pl
import pyarrow as pa

from purchase_pipeline.postgres.errors import RefusedValueError
from purchase_pipeline.postgres.frames.arrow import batch_of, plain_column
from purchase_pipeline.postgres.frames.arrow_frames import typed_column
from purchase_pipeline.postgres.frames.exact import Array
from purchase_pipeline.postgres.frames.from_python import column_of_values
from purchase_pipeline.postgres.frames.rows import Batch
from purchase_pipeline.postgres.schema.types import ColumnType

FRAME_TYPES = (pl.DataFrame, pl.LazyFrame)

_MOST_DIGITS = 38  # of Decimal


def to_batch(frame: pl.DataFrame | pl.LazyFrame) -> Batch:
    """Return the frame's columns; a lazy frame is collected. NaN stays NaN.

    Raises:
        RefusedValueError: PostgreSQL has no type for a column or value.
    """
    return batch_of((series.name, *_column(series)) for series in frame.lazy().collect().iter_columns())


def from_arrow(columns: Mapping[str, ColumnType], frame: pa.Table, frame_type: type = pl.DataFrame) -> Any:  # noqa: ANN401
    """Return a frame. JSON becomes structs and lists if all values have one shape, else text."""
    typed = {name: typed_column(kind, frame[name], _MOST_DIGITS) for name, kind in columns.items()}
    found = pl.DataFrame([pl.Series(name, pl.from_arrow(values)) for name, values in typed.items()])
    return found.lazy() if issubclass(frame_type, pl.LazyFrame) else found


def _column(series: pl.Series) -> tuple[ColumnType, Array]:
    if series.dtype == pl.Object:
        return column_of_values(series.name, series.to_list())
    try:
        values = series.to_arrow()
    except pa.ArrowInvalid:  # 128-bit integers, also in lists and structs
        return column_of_values(series.name, series.to_list())
    except pl.exceptions.PolarsError as error:
        reason = f"PostgreSQL has no type for the dtype {series.dtype}"
        raise RefusedValueError(series.name, None, reason) from error
    return plain_column(series.name, values)
