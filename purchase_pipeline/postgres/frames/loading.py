"""Conversion of Arrow data to the type that an input is annotated with."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from purchase_pipeline.postgres.frames.adbc import read_batches
from purchase_pipeline.postgres.frames.arrow_frames import reader
from purchase_pipeline.postgres.frames.libraries import is_reader, library_of
from purchase_pipeline.postgres.frames.rows import RowStream
from purchase_pipeline.postgres.frames.to_python import python_dicts, python_rows
from purchase_pipeline.postgres.schema.types import ColumnType

Checks = Callable[[Iterator[pa.Table]], Iterator[pa.Table]]


def load_query(
    kind: Any,  # noqa: ANN401
    connection: sa.Connection,
    table: sa.Table,
    query: sa.Select[Any],
    with_checks: Checks,
) -> Any:  # noqa: ANN401
    """Return a query's rows: a frame at once, a stream lazily; both pass through `with_checks`."""
    library = library_of(kind)
    if library is None:
        columns, frames = read_batches(connection, table, query)
        return _as_stream(kind, columns, with_checks(frames))
    columns, frames = read_batches(connection, table, query, batch_rows=None)
    (whole,) = with_checks(frames)
    return library.from_arrow(columns, whole, kind)


def load_empty(kind: Any) -> Any:  # noqa: ANN401
    """Return an empty value, for a table that does not exist yet."""
    library = library_of(kind)
    return _as_stream(kind, {}, iter(())) if library is None else library.from_arrow({}, pa.table({}), kind)


def _as_stream(kind: Any, columns: Mapping[str, ColumnType], frames: Iterator[pa.Table]) -> Any:  # noqa: ANN401
    if kind is RowStream:
        return RowStream(tuple(columns), (python_rows(columns, frame) for frame in frames))
    if is_reader(kind):
        return reader(columns, frames)
    library = library_of(kind.frame_type)
    if library is not None:
        return kind(library.from_arrow(columns, frame, kind.frame_type) for frame in frames)
    return kind(python_dicts(columns, frame) for frame in frames)
