"""Two feeds to be watched: one that loads its partitions, and one whose load by schedule fails each minute."""

from collections.abc import Iterator

import dagster as dg

from purchase_pipeline.feeds import Feed, FunctionSource, PartitionRequest
from purchase_pipeline_tests.two_feeds import Reading


def readings(request: PartitionRequest) -> Iterator[dict[str, object]]:
    """Yield a reading of a station."""
    yield {"station": request.key, "day": "2026-01-05", "celsius": 21.5}


def nothing(_: PartitionRequest) -> Iterator[dict[str, object]]:
    """Fail as a source does that is switched off."""
    raise ValueError("The station is switched off.")


stations = Feed(
    name="stations",
    contract=Reading,
    source=FunctionSource(readings),
    partitions=dg.StaticPartitionsDefinition(["north", "south"]),
)
broken = Feed(name="broken", contract=Reading, source=FunctionSource(nothing), schedule="* * * * *")


@dg.definitions
def defs() -> dg.Definitions:
    """Both feeds."""
    return dg.Definitions.merge(stations.definitions(), broken.definitions())
