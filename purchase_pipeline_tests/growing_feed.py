"""A feed whose next partition arrives while the first is loaded, as a day begins or a file comes."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import BaseModel

from purchase_pipeline.feeds import Feed, FunctionSource, PartitionRequest


class Line(BaseModel):
    """A line of a file."""

    number: int


def lines(request: PartitionRequest) -> Iterator[dict[str, Any]]:
    """Yield the lines of a file, after which comes another."""
    dg.DagsterInstance.get().add_dynamic_partitions("files", [f"{request.key}-next"])
    yield {"number": 1}


files = Feed(
    name="files",
    contract=Line,
    source=FunctionSource(lines),
    partitions=dg.DynamicPartitionsDefinition(name="files"),
)


@dg.definitions
def defs() -> dg.Definitions:
    """The one feed."""
    return files.definitions()
