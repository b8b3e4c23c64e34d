"""A source that is a function: from a database, a queue, a file server, any library."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from purchase_pipeline import PipelineError
from purchase_pipeline.ingest.formats import NDJSON
from purchase_pipeline.ingest.printable import labelled
from purchase_pipeline.ingest.sources.request import AddPage, Page, PartitionRequest
from purchase_pipeline.postgres.frames.rows import closing_iterator

_CHUNK_BYTES = 1 << 16

Item = Mapping[str, Any] | bytes | str | Page
"""A row as a mapping or as JSON text, or a page in any format."""


class UnwritableRowError(PipelineError):
    """A row of a function cannot be written as JSON."""


@dataclass(frozen=True)
class FunctionSource:
    """Calls a function with the `PartitionRequest`; its rows land as NDJSON, in the order given.

    Attributes:
        function: returns or yields rows, as mappings or JSON text, and pages.
    """

    function: Callable[[PartitionRequest], Iterable[Item]]

    def fetch(self, request: PartitionRequest, add_page: AddPage) -> None:
        """Call the function, and store what it yields.

        Raises:
            UnwritableRowError: a value that JSON does not have.
        """
        with closing_iterator(self.function(request)) as items:
            for are_pages, group in groupby(items, lambda item: isinstance(item, Page)):
                if are_pages:
                    for page in group:
                        add_page(page)  # type: ignore[arg-type]  # as grouped
                else:
                    add_page(Page(NDJSON, _in_chunks(_lines(request.key, group))))

    def expected_rows(self, request: PartitionRequest) -> None:
        """Return None: a function is taken at its word."""


def _lines(key: str, rows: Iterable[Any]) -> Iterator[bytes]:
    for number, row in enumerate(rows, start=1):
        if isinstance(row, bytes | str):
            text = row.encode() if isinstance(row, str) else row
            # In valid JSON, line ends are between values only.
            yield text.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"
            continue
        try:
            yield to_json(row) + b"\n"
        except PydanticSerializationError as error:
            raise UnwritableRowError(
                labelled(key, f"row {number} cannot be written as JSON: {error}.")
            ) from error


def _in_chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    chunk = bytearray()
    for line in lines:
        chunk += line
        if len(chunk) >= _CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)
