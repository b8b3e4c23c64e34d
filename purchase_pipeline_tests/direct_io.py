"""The IO manager without a run: a write takes milliseconds, so a test can do thousands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar
from weakref import finalize

import dagster as dg
from dagster._core.definitions.resource_definition import Resources

from purchase_pipeline.postgres import PostgresIOManager, RowStream

Frame = TypeVar("Frame")


@dataclass(frozen=True)
class Place:
    """An asset: its key and metadata, and the partition or range to use."""

    key: Sequence[str]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    partitions: dg.PartitionsDefinition[str] | None = None
    first: str = ""
    last: str = ""

    @property
    def range(self) -> dg.PartitionKeyRange | None:
        """The partition range."""
        return dg.PartitionKeyRange(self.first, self.last or self.first) if self.partitions else None


class DirectIOManager:
    """Writes and reads assets through its own IO manager."""

    def __init__(self, database_url: str) -> None:
        resource = PostgresIOManager(database_url=database_url)
        self._manager = resource.create_io_manager(_init_context())
        finalize(self, self._manager.close)

    def write(self, place: Place, value: object, *, run_id: str = "a run") -> Mapping[str, Any]:
        """Write a frame or stream, and return the materialization's metadata."""
        context = _output_context(place, run_id)
        self._manager.handle_output(context, value)
        return context.get_logged_metadata()

    def read(self, place: Place, columns: Sequence[str] | None = None) -> list[tuple[object, ...]]:
        """Return the rows as a downstream asset of the same partition reads them."""
        stream = self.read_as(RowStream, place, columns)
        return [tuple(row) for batch in stream.batches for row in batch]

    def read_as(self, kind: type[Frame], place: Place, columns: Sequence[str] | None = None) -> Frame:
        """Return what a downstream asset of the same partition reads with this annotation."""
        subset = None
        if place.partitions is not None and place.range is not None:
            subset = place.partitions.empty_subset().with_partition_key_range(place.partitions, place.range)
        context = dg.InputContext(
            definition_metadata={"columns": columns},
            upstream_output=_output_context(place, "a run"),
            dagster_type=dg.PythonObjectDagsterType(kind),
            resources=_no_resources(),
            asset_key=dg.AssetKey(place.key),
            asset_partitions_def=place.partitions,
            asset_partitions_subset=subset,
        )
        value = self._manager.load_input(context)
        assert isinstance(value, kind)
        return value


def _output_context(place: Place, run_id: str) -> dg.OutputContext:
    return dg.build_output_context(
        run_id=run_id,
        definition_metadata=place.metadata,
        asset_key=dg.AssetKey(place.key),
        asset_partitions_def=place.partitions,
        asset_partition_key_range=place.range,
        resources=_no_resources(),
    )


@cache
def _init_context() -> dg.InitResourceContext:
    """Build Dagster's context once: each creates an instance, which takes 16 ms."""
    return dg.build_init_resource_context()


@cache
def _no_resources() -> Resources:
    """Build Dagster's empty resources once: by default each context creates an instance for them, which takes 60 ms."""
    with dg.build_resources({}) as resources:
        return resources
