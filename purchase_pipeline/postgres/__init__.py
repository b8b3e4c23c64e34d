"""PostgreSQL as a home for Dagster assets: an IO manager that replaces a partition as a whole, or not at all.

It is independent of the rest of this project. A name is imported when it is first used: who needs a table's schema or
an error need not load Dagster, which takes a second.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_MODULES = {
    **dict.fromkeys(("Batches", "PerPartition", "RowStream", "Together"), "frames.rows"),
    "PostgresIOManager": "io_manager",
}

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


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = found
    return found
