"""Types that can be written and read, and the modules for them. Libraries are imported only if in use."""

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from purchase_pipeline.postgres.frames.rows import (
    Batch,
    Batches,
    DeclaredBatch,
    PerPartition,
    RowStream,
    Together,
    closing_iterator,
)
from purchase_pipeline.postgres.schema import types
from purchase_pipeline.postgres.schema.types import ColumnType

READ = (
    "pandas.DataFrame, polars.DataFrame, pyarrow.Table, or as a stream pyarrow.RecordBatchReader, RowStream, "
    "Batches[pandas.DataFrame], Batches[polars.DataFrame], Batches[pyarrow.Table], Batches[list[dict]]"
)
WRITTEN = f"{READ}; also any other iterator of frames, or of lists of rows as dicts; PerPartition, Together"

_LIBRARIES = {
    "pandas": "purchase_pipeline.postgres.frames.pandas_frames",
    "polars": "purchase_pipeline.postgres.frames.polars_frames",
    "pyarrow": "purchase_pipeline.postgres.frames.arrow_frames",
}


class FrameLibrary(Protocol):
    """The interface of a frame library's module."""

    FRAME_TYPES: tuple[type, ...]

    def to_batch(self, frame: Any) -> Batch:  # noqa: ANN401
        """Return a frame's columns in Arrow."""

    def from_arrow(self, columns: Mapping[str, ColumnType], frame: Any, frame_type: type) -> Any:  # noqa: ANN401
        """Return the rows as a frame of that class."""


def library_of(frame_type: type) -> FrameLibrary | None:
    """Return the module for a frame class. A library that is not imported has no frames."""
    for name, module in _LIBRARIES.items():
        if name in sys.modules:
            library = cast("FrameLibrary", import_module(module))
            if issubclass(frame_type, library.FRAME_TYPES):
                return library
    return None


def is_reader(kind: type) -> bool:
    """Return whether a class is `pyarrow.RecordBatchReader` or derived from it."""
    arrow = sys.modules.get("pyarrow")
    return arrow is not None and issubclass(kind, arrow.RecordBatchReader)


def can_be_written(kind: Any) -> bool:  # noqa: ANN401
    """Return whether values of a class can be written."""
    if not isinstance(kind, type):
        return False
    streams = RowStream, Batches, PerPartition, Together, Iterator
    return issubclass(kind, streams) or is_reader(kind) or library_of(kind) is not None


def can_be_read(kind: Any) -> bool:  # noqa: ANN401
    """Return whether a slice can be read as a class."""
    if not isinstance(kind, type):
        return False
    if issubclass(kind, Batches):
        return kind.frame_type is list or (
            kind.frame_type is not None and library_of(kind.frame_type) is not None
        )
    return kind is RowStream or is_reader(kind) or library_of(kind) is not None


def batches_of(value: Any) -> Iterator[Batch | DeclaredBatch]:  # noqa: ANN401
    """Yield the batches of a value; close its stream at the end.

    Raises:
        RefusedValueError: PostgreSQL has no type for a column or value.
        TypeError: an iterator of unsupported items.
    """
    library = library_of(type(value))
    if library is not None:
        yield library.to_batch(value)
    elif isinstance(value, RowStream):
        yield from _batches_of_rows(value)
    else:
        with closing_iterator(value) as frames:
            if is_reader(type(value)):
                yield from batches_of(value.schema.empty_table())
            for frame in frames:
                yield from _batches_of_item(frame)


def _batches_of_item(frame: Any) -> Iterator[Batch | DeclaredBatch]:  # noqa: ANN401
    if isinstance(frame, list) and all(isinstance(row, Mapping) for row in frame):
        yield _python_values().batch_of_dicts(frame)
    elif can_be_written(type(frame)):
        yield from batches_of(frame)
    else:
        raise TypeError(
            f"Cannot write {types.short_repr(frame)} ({type(frame).__name__}). Iterators may yield {WRITTEN}."
        )


def _batches_of_rows(stream: RowStream) -> Iterator[Batch | DeclaredBatch]:
    table = stream.table
    declared = {} if table is None else {name: table.columns[name].type for name in stream.columns}
    with closing_iterator(stream.batches) as batches:
        for rows in batches:
            if table is None:
                yield _python_values().batch_of_rows(stream.columns, rows)
            else:
                yield DeclaredBatch(declared, rows, table)


def _python_values() -> Any:  # noqa: ANN401
    """Import the module that needs pyarrow; declared streams do not."""
    return import_module("purchase_pipeline.postgres.frames.from_python")
