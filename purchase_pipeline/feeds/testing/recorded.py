"""A source that records what it hands over."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from purchase_pipeline.ingest.formats import RowFormat
from purchase_pipeline.ingest.landing.manifest import LandedPage
from purchase_pipeline.ingest.sources.request import AddPage, Page, PartitionRequest, Source


@dataclass
class SentPage:
    """A page as it was handed over."""

    format: RowFormat
    content: bytearray = field(default_factory=bytearray)


@dataclass
class RecordedSource:
    """A source, and the pages that it sent last."""

    source: Source
    sent: list[SentPage] = field(default_factory=list)

    def fetch(self, request: PartitionRequest, add_page: AddPage) -> None:
        """Fetch a partition, and record its pages."""
        pages = self.sent = []

        def recorded(page: Page) -> LandedPage:
            sent = SentPage(page.format)
            landed = add_page(replace(page, chunks=_copied(page.chunks, sent.content)))
            pages.append(sent)
            return landed

        self.source.fetch(request, recorded)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """All else is the source's own."""
        if name == "source":
            raise AttributeError(name)
        return getattr(self.source, name)

    def expected_rows(self, request: PartitionRequest) -> int | None:
        """Return the number of rows that each response must have."""
        return self.source.expected_rows(request)


def _copied(chunks: Any, content: bytearray) -> Iterator[bytes]:  # noqa: ANN401
    for chunk in chunks:
        content += chunk
        yield chunk
