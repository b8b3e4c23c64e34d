"""Rows to write or read, in batches, so that a table need not fit into memory."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_origin

from sqlalchemy import Table

from purchase_pipeline.postgres.schema.types import ColumnType

if TYPE_CHECKING:
    from purchase_pipeline.postgres.dagster_internals import RawMetadataValue
    from purchase_pipeline.postgres.write_options import WriteMode

Row = Sequence[Any]
Frame = TypeVar("Frame")
Item = TypeVar("Item")


def by_column(rows: Sequence[Row], columns: int) -> Iterable[Sequence[Any]]:
    """Return the values of each column, also if there are no rows."""
    return zip(*rows, strict=True) if rows else ((),) * columns


@contextmanager
def closing_iterator(items: Iterable[Item]) -> Iterator[Iterator[Item]]:
    """Yield an iterator, and close it at the end if it is a generator.

    A generator that is abandoned keeps its files and connections open until it is garbage-collected.
    """
    iterator = iter(items)
    try:
        yield iterator
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


@dataclass(frozen=True)
class CopyText:
    """Rows as lines of COPY's text format, in UTF-8, which are sent as they are.

    Attributes:
        data: the lines, each with its line end.
        rows: their number.
    """

    data: bytes | memoryview
    rows: int

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[list[str | None]]:
        """Yield the rows' texts."""
        for line in bytes(self.data).splitlines():
            yield [_unescaped(text) for text in line.decode().split("\t")]


_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r"}


def _unescaped(text: str) -> str | None:
    return None if text == r"\N" else _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text)


@dataclass(frozen=True)
class RowStream:
    """A table or slice as batches of rows.

    Attributes:
        columns: names of the rows' columns, in order.
        batches: batches of rows, iterated once. With a declared table, values may be strings that PostgreSQL parses;
            rows of strings only are the fastest to write, but for `CopyText`.
        table: the table's declaration: its columns, keys and comments apply; its name and schema are the asset's.
            Without it, types are inferred from the first batch.
    """

    columns: Sequence[str]
    batches: Iterable[Sequence[Row] | CopyText]
    table: Table | None = None


class Batches(Generic[Frame]):
    """A table or slice as an iterator of frames, iterated once.

    `Batches[pandas.DataFrame](frames)` writes frames as they come, in one transaction; an input with that annotation
    reads lazily. Frames: `pandas.DataFrame`, `polars.DataFrame`, `pyarrow.Table`, `pyarrow.RecordBatch`, or a list of
    rows as dicts.
    """

    frame_type: type | None = None

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._frames = iter(frames)

    @classmethod
    @cache
    def __class_getitem__(cls, frame_type: Any) -> Any:  # noqa: ANN401
        """Return a subclass: Dagster accepts only classes as types."""
        kind = get_origin(frame_type) or frame_type
        if not isinstance(kind, type):
            return super().__class_getitem__(frame_type)  # type: ignore[misc]  # Generic's own
        # Dagster identifies types by name, and several libraries have a DataFrame.
        return type(f"{cls.__name__}[{kind.__module__}.{kind.__qualname__}]", (cls,), {"frame_type": kind})

    def __iter__(self) -> Iterator[Frame]:
        return self._frames


class PerPartition:
    """The data of the run's partitions, each committed in its own transaction.

    `PerPartition((key, frame) for ...)`, or `(key, frame, metadata)` to add metadata to the partition's
    materialization. Committed partitions stay when a later one fails.
    """

    def __init__(
        self, partitions: Iterable[tuple[str, Any] | tuple[str, Any, Mapping[str, "RawMetadataValue"]]]
    ) -> None:
        self.partitions = iter(partitions)


@dataclass(frozen=True)
class Together:
    """A slice, and the same partition's slices of companion tables, replaced in one transaction.

    For outputs that belong together, such as rows and rejects, which would otherwise be committed one by one. The asset
    of a companion table is materialized without a value: `MaterializeResult(key, metadata=written[name])`; within
    `PerPartition` the metadata is added for each partition.

    Attributes:
        value: data of the asset's own table; anything that can be written.
        beside: data of companion tables in the same schema and with the same `partition_expr`, by table name. They are
            written after `value`, in order, so a stream may depend on earlier ones. A function is called with the
            transaction's connection, before the slice's old rows are deleted, and returns the data.
        upsert_keys: keys of companion tables for upserts and inserts; by default the asset's keys.
        write_modes: write modes of companion tables; by default the asset's.
        written: metadata of each companion table's materialization, once committed.
    """

    value: Any
    beside: Mapping[str, Any]
    upsert_keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    write_modes: Mapping[str, "WriteMode"] = field(default_factory=dict)
    written: dict[str, Mapping[str, "RawMetadataValue"]] = field(default_factory=dict, init=False)


@dataclass(frozen=True)
class Batch:
    """Rows with their column types, whatever they came from.

    Attributes:
        types: column types, in order.
        frame: a `pyarrow.Table` of these columns, in the plain types of `frames.arrow`.
    """

    types: Mapping[str, ColumnType]
    frame: Any


@dataclass(frozen=True)
class DeclaredBatch:
    """Rows of a declared table, whose values only PostgreSQL checks.

    Attributes:
        types: declared column types, in the rows' order.
        rows: values that psycopg adapts, or strings that PostgreSQL parses; None for NULL. Or lines of COPY.
        declared: the table's declaration.
    """

    types: Mapping[str, ColumnType]
    rows: Iterable[Row] | CopyText
    declared: Table


AnyBatch = Batch | DeclaredBatch
