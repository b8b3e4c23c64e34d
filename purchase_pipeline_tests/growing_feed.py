"""Feeds that grow while they are loaded: another file arrives, or an increment is loaded that did not exist before."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import BaseModel

from purchase_pipeline.feeds import Feed, FunctionSource, PartitionRequest, Since, Write


class Line(BaseModel):
    """A line of a file."""

    number: int


def lines(request: PartitionRequest) -> Iterator[dict[str, Any]]:
    """Yield the lines of a file, after which comes another."""
    dg.DagsterInstance.get().add_dynamic_partitions("files", [f"{request.key}-next"])
    yield {"number": 1}


def line_after(request: PartitionRequest) -> Iterator[dict[str, Any]]:
    """Yield the line after those that are loaded."""
    yield {"number": request.variables["since"] + 1}


files = Feed(
    name="files",
    contract=Line,
    source=FunctionSource(lines),
    partitions=dg.DynamicPartitionsDefinition(name="files"),
)
log = Feed(
    name="log",
    contract=Line,
    source=FunctionSource(line_after),
    write=Write("upsert", ["number"]),
    since=Since("number", first=0),
)


@dg.definitions
def defs() -> dg.Definitions:
    """Both feeds."""
    return dg.Definitions.merge(files.definitions(), log.definitions())
