"""A row source for frames: Arrow columns, encoded for the table or staged and cast."""

from collections.abc import Iterator, Mapping

import sqlalchemy as sa

from purchase_pipeline.postgres.errors import RefusedValueError, UnstorableValueError
from purchase_pipeline.postgres.frames.rows import Batch, DeclaredBatch
from purchase_pipeline.postgres.schema.native_types import NativeType, native_types
from purchase_pipeline.postgres.schema.table_errors import target_table
from purchase_pipeline.postgres.schema.types import NamedType
from purchase_pipeline.postgres.write.coercion import encoded_batches
from purchase_pipeline.postgres.write.copy import CopyResult, copy_batches
from purchase_pipeline.postgres.write.encoding import Encoding, encoding_for
from purchase_pipeline.postgres.write.row_source import RowSource
from purchase_pipeline.postgres.write.staged_casts import STAGED, Cast, insert_cast


def frame_source(
    connection: sa.Connection, first: Batch, batches: Iterator[Batch | DeclaredBatch], *, check_values: bool
) -> RowSource:
    """Return a source for frames. With `check_values`, the first frame's values decide whether a column fits."""

    def fits(name: str, native: NativeType) -> bool:
        encoding = encoding_for(first.types[name], native)
        return encoding is not None and not (check_values and _is_rejected(encoding, name, first))

    def copy_into(table: sa.Table) -> CopyResult:
        native = native_types(connection, table)
        names = list(first.types)
        casts = {
            name: _cast(name, encoding_for(first.types[name], native[name]), native[name]) for name in names
        }
        encoded = encoded_batches(first, batches, table, native)
        if not any(casts.values()):
            return copy_batches(connection, table, names, encoded)
        staged = _staging(connection, casts, native)
        try:
            copied = copy_batches(connection, staged, names, encoded)
        except UnstorableValueError as error:
            raise error.of(str(target_table(table))) from error
        rows = insert_cast(connection, table, casts)
        staged.drop(connection, checkfirst=False)  # the transaction may create it again
        return CopyResult(rows, copied.bytes)

    return RowSource(first.types, fits, copy_into, counted=True)


def _is_rejected(encoding: Encoding, name: str, first: Batch) -> bool:
    try:
        for chunk in first.frame[name].chunks:
            encoding.encode(name, chunk)
    except RefusedValueError:
        return True
    return False


def _cast(name: str, encoding: Encoding | None, native: NativeType) -> Cast | None:
    staged = encoding and encoding.staged
    return Cast(name, staged, native) if staged else None


def _staging(
    connection: sa.Connection, casts: Mapping[str, Cast | None], native: Mapping[str, NativeType]
) -> sa.Table:
    """Create a temporary table for rows of which some columns will be cast."""
    columns = [
        sa.Column(name, NamedType(cast.staged.unbounded if cast else native[name].declared))
        for name, cast in casts.items()
    ]
    table = sa.Table(STAGED, sa.MetaData(), *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DROP")
    table.create(connection, checkfirst=False)
    return table
