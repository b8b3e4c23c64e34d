"""Rows on their way to a table or from it: in batches, so that a table need not fit into memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_origin

from sqlalchemy import Table

from purchase_pipeline.postgres.schema.types import ColumnType

if TYPE_CHECKING:
    from purchase_pipeline.postgres.dagster_internals import RawMetadataValue

Row = Sequence[Any]
Frame = TypeVar("Frame")
Item = TypeVar("Item")


def by_column(rows: Sequence[Row], columns: int) -> Iterable[Sequence[Any]]:
    """Return the values of each column, of which there are some even where there is no row."""
    return zip(*rows, strict=True) if rows else ((),) * columns


@contextmanager
def closing_iterator(items: Iterable[Item]) -> Iterator[Iterator[Item]]:
    """Iterate; however it ends, midway too, close the iterator if it can be closed, as generators can.

    A generator that is let go midway keeps its files and connections open until the garbage is collected.
    """
    iterator = iter(items)
    try:
        yield iterator
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


@dataclass(frozen=True)
class RowStream:
    """A table, or a slice of one, as batches of rows.

    Attributes:
        columns: names of the columns that the rows fill, in the rows' order.
        batches: the rows, a batch at a time; read once. Of a declared table a value may be the text that PostgreSQL
            reads: rows of texts alone are written fastest.
        table: the table's declaration, taken at its word. Its columns, keys and comments count; its name and schema
            are the asset's. Without one the types are inferred from the first batch.
    """

    columns: Sequence[str]
    batches: Iterable[Sequence[Row]]
    table: Table | None = None


class Batches(Generic[Frame]):
    """A table, or a slice of one, as an iterator of frames, read once.

    `Batches[pandas.DataFrame](frames)` writes them as they come, in one transaction; an input annotated so reads them
    as it goes. Frames: `pandas.DataFrame`, `polars.DataFrame`, `pyarrow.Table`, `pyarrow.RecordBatch`, or a list of
    rows as dicts.
    """

    frame_type: type | None = None

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._frames = iter(frames)

    @classmethod
    @cache
    def __class_getitem__(cls, frame_type: Any) -> Any:  # noqa: ANN401
        """Return a class of its own, for Dagster takes classes alone as types."""
        kind = get_origin(frame_type) or frame_type
        if not isinstance(kind, type):
            return super().__class_getitem__(frame_type)  # type: ignore[misc]  # Generic's own
        # Dagster tells types apart by their names: several libraries have a DataFrame.
        return type(f"{cls.__name__}[{kind.__module__}.{kind.__qualname__}]", (cls,), {"frame_type": kind})

    def __iter__(self) -> Iterator[Frame]:
        return self._frames


class PerPartition:
    """The data of the run's partitions, be it one or a range of them: each is committed alone, as it comes.

    `PerPartition((key, frame) for ...)`, or `(key, frame, metadata)`: metadata of that partition's materialization, as
    an output's. What is committed stays when a later partition fails.
    """

    def __init__(
        self, partitions: Iterable[tuple[str, Any] | tuple[str, Any, Mapping[str, "RawMetadataValue"]]]
    ) -> None:
        self.partitions = iter(partitions)


@dataclass(frozen=True)
class Together:
    """A slice, and the same partition's slices in other tables: replaced in one transaction, all or none.

    For outputs that belong together, such as rows and their rejects, which one by one would be committed one by one.
    The asset of a table beside is then materialized without a value: `MaterializeResult(key, metadata=written[name])`;
    out of `PerPartition` without metadata too, for they are told of each partition.

    Attributes:
        value: what goes into the asset's own table; anything that can be written.
        beside: what goes into other tables of its schema, cut by the same `partition_expr`, by the tables' names.
            Written after `value`, in order: a stream may depend on what came before. A function is called with the
            transaction's connection, while the slice's old rows are still there, and returns what goes in.
        upsert_keys: of an upsert or insert, the keys of tables beside; a table that is not named has the asset's own.
        written: once committed, what there is to tell of each table beside: its materialization's metadata.
    """

    value: Any
    beside: Mapping[str, Any]
    upsert_keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    written: dict[str, Mapping[str, "RawMetadataValue"]] = field(default_factory=dict, init=False)


@dataclass(frozen=True)
class Batch:
    """Rows with the types of their columns, whatever they came in.

    Attributes:
        types: each column's type, in order.
        frame: a `pyarrow.Table` of these columns, in the plain types of `frames.arrow`.
    """

    types: Mapping[str, ColumnType]
    frame: Any


@dataclass(frozen=True)
class DeclaredBatch:
    """Rows of a table that their author declares: PostgreSQL alone says what it takes.

    Attributes:
        types: each column's type as declared, in the rows' order.
        rows: values as psycopg takes them, or the texts that PostgreSQL reads; None for a missing one.
        declared: the table's declaration.
    """

    types: Mapping[str, ColumnType]
    rows: Iterable[Row]
    declared: Table


AnyBatch = Batch | DeclaredBatch
