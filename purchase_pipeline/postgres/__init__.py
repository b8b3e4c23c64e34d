"""Store Dagster assets in PostgreSQL: an IO manager that replaces each partition atomically.

Independent of the rest of this project. Names are imported on first use, so that code which needs only an error or a
table's schema does not load Dagster (about a second).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from purchase_pipeline.postgres.errors import (
        DatabaseOutageError,
        DatabaseRefusalError,
        PostgresWriteError,
        RowsNotClearedError,
        RowsNotStoredError,
        RowsOutsideSliceError,
        SchemaDriftError,
        TableNotFoundError,
        UnfinishedReadError,
        UnreadableValueError,
        UnstorableValueError,
        UnusableMetadataError,
        UnusableNameError,
    )
    from purchase_pipeline.postgres.frames.rows import Batches, CopyText, PerPartition, RowStream, Together
    from purchase_pipeline.postgres.io_manager import PostgresIOManager

_MODULES = {
    **dict.fromkeys(("Batches", "CopyText", "PerPartition", "RowStream", "Together"), "frames.rows"),
    "PostgresIOManager": "io_manager",
}

__all__ = [
    "Batches",
    "CopyText",
    "DatabaseOutageError",
    "DatabaseRefusalError",
    "PerPartition",
    "PostgresIOManager",
    "PostgresWriteError",
    "RowStream",
    "RowsNotClearedError",
    "RowsNotStoredError",
    "RowsOutsideSliceError",
    "SchemaDriftError",
    "TableNotFoundError",
    "Together",
    "UnfinishedReadError",
    "UnreadableValueError",
    "UnstorableValueError",
    "UnusableMetadataError",
    "UnusableNameError",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = found
    return found
