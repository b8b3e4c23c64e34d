"""PostgreSQL as a home for Dagster assets: an IO manager that replaces a partition whole, or not at all.

Knows nothing of purchases.
"""

from purchase_pipeline.postgres.errors import (
    DatabaseRefusalError,
    PostgresWriteError,
    RowsNotClearedError,
    RowsNotStoredError,
    RowsOutsideSliceError,
    SchemaDriftError,
    UnfinishedReadError,
    UnreadableValueError,
    UnstorableValueError,
    UnusableMetadataError,
    UnusableNameError,
)
from purchase_pipeline.postgres.frames.rows import Batches, PerPartition, RowStream, Together
from purchase_pipeline.postgres.io_manager import PostgresIOManager

__all__ = [
    "Batches",
    "DatabaseRefusalError",
    "PerPartition",
    "PostgresIOManager",
    "PostgresWriteError",
    "RowStream",
    "RowsNotClearedError",
    "RowsNotStoredError",
    "RowsOutsideSliceError",
    "SchemaDriftError",
    "Together",
    "UnfinishedReadError",
    "UnreadableValueError",
    "UnstorableValueError",
    "UnusableMetadataError",
    "UnusableNameError",
]
