"""What a frame refuses, by its column and position, as what the table's row is refused for."""

from collections.abc import Iterator

from purchase_pipeline.postgres.errors import RefusedValueError, UnstorableValueError
from purchase_pipeline.postgres.frames.rows import Batch, DeclaredBatch


def placed_refusals(batches: Iterator[Batch | DeclaredBatch], table: str) -> Iterator[Batch | DeclaredBatch]:
    """Yield the batches; what a frame refuses by its column and position is refused by the table's row.

    Raises:
        UnstorableValueError: a column or value that PostgreSQL has no type for.
    """
    number = 0
    try:
        for batch in batches:
            yield batch
            number += batch.frame.num_rows if isinstance(batch, Batch) else 0
    except RefusedValueError as error:
        row = None if error.position is None else number + error.position + 1
        raise UnstorableValueError(table, row, error.column, str(error)) from error
