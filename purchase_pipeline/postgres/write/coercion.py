"""Coercion: batches encoded for one table, with its column order and types; some columns are staged to be cast."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from purchase_pipeline.postgres.errors import RefusedValueError, SchemaDriftError, UnstorableValueError
from purchase_pipeline.postgres.frames.rows import Batch, DeclaredBatch
from purchase_pipeline.postgres.schema.native_types import NativeType
from purchase_pipeline.postgres.schema.pending_types import is_pending
from purchase_pipeline.postgres.schema.table_errors import target_table
from purchase_pipeline.postgres.schema.types import ColumnType, sql
from purchase_pipeline.postgres.write.encoding import Encoding, encoding_for
from purchase_pipeline.postgres.write.exact_arrays import nulls

CHUNK_ROWS = 50_000  # encoded at once: a few megabytes
_REMEDY = (
    "Nothing was changed. The first batch determines the columns: give every batch the same ones, or declare them "
    'with metadata={"row_model": ...}.'
)


def encodings(
    types: Mapping[str, ColumnType], native: Mapping[str, NativeType], table: str, batch_number: int = 1
) -> dict[str, Encoding]:
    """Return how each column of a batch is encoded.

    Raises:
        SchemaDriftError: columns that are incompatible with the table's.
    """
    found = {name: encoding_for(kind, native[name]) for name, kind in types.items()}
    differences = [
        f"column {name!r} is {native[name].label}, but {sql(types[name])} in batch {batch_number}"
        for name, encoding in found.items()
        if encoding is None
    ]
    if differences:
        raise SchemaDriftError(table, differences, _REMEDY)
    return {name: encoding for name, encoding in found.items() if encoding is not None}


def encoded_batches(
    first: Batch, batches: Iterator[Batch | DeclaredBatch], table: sa.Table, native: Mapping[str, NativeType]
) -> Iterator[Any]:
    """Yield the rows of all batches as record batches with the first one's column order.

    Raises:
        SchemaDriftError: a batch whose columns differ from the first one's.
        UnstorableValueError: a value that its column would change.
    """
    names, number, table_name = list(first.types), 0, str(target_table(table))
    first_encodings: Mapping[str, Encoding] = {}
    for batch_number, batch in zip(count(1), chain([first], batches), strict=False):
        if not isinstance(batch, Batch):
            raise SchemaDriftError(
                table_name, [f"batch {batch_number} is declared, but the first is not"], _REMEDY
            )
        _require_names(batch, names, table_name, batch_number)
        types = {name: first.types[name] if is_pending(kind) else kind for name, kind in batch.types.items()}
        found = encodings(types, native, table_name, batch_number)
        first_encodings = first_encodings or found
        _require_same_staging(batch, found, first_encodings, table_name, batch_number)
        for chunk in batch.frame.select(names).to_batches(max_chunksize=CHUNK_ROWS):
            yield _encoded(chunk, found, table_name, number)
            number += chunk.num_rows


def _encoded(chunk: Any, how: Mapping[str, Encoding], table: str, number: int) -> Any:  # noqa: ANN401
    try:
        return pa.record_batch(
            {
                name: (nulls if pa.types.is_null(values.type) else how[name].encode)(name, values)
                for name, values in zip(chunk.schema.names, chunk.columns, strict=True)
            }
        )
    except RefusedValueError as error:
        row = None if error.position is None else number + error.position + 1
        raise UnstorableValueError(table, row, error.column, str(error)) from error


def _require_names(batch: Batch, names: Sequence[str], table: str, batch_number: int) -> None:
    differences = [
        f"column {name!r} is missing in batch {batch_number}" for name in names if name not in batch.types
    ]
    differences += [
        f"column {name!r} is in batch {batch_number}, but not in the first"
        for name in batch.types
        if name not in names
    ]
    if differences:
        raise SchemaDriftError(table, differences, _REMEDY)


def _require_same_staging(
    batch: Batch, found: Mapping[str, Encoding], first: Mapping[str, Encoding], table: str, batch_number: int
) -> None:
    differences = [
        f"column {name!r} is {sql(batch.types[name])} in batch {batch_number}, but was another type in the first"
        for name, encoding in found.items()
        if encoding.staged != first[name].staged
    ]
    if differences:
        raise SchemaDriftError(table, differences, _REMEDY)
