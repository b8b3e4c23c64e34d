"""Private names of Dagster that the IO manager needs.

They are all imported here, so that an upgrade of Dagster is checked in one place.
"""

from dagster._check import CheckError
from dagster._core.definitions.metadata import RawMetadataValue
from dagster._core.events import DagsterEvent
from dagster._core.storage.db_io_manager import (
    DbClient,
    DbIOManager,
    DbTypeHandler,
    TablePartitionDimension,
    TableSlice,
)

__all__ = [
    "CheckError",
    "DagsterEvent",
    "DbClient",
    "DbIOManager",
    "DbTypeHandler",
    "RawMetadataValue",
    "TablePartitionDimension",
    "TableSlice",
]
