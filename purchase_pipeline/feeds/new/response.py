"""The response that a feed is made from, and what is found in it."""

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar, Literal, NamedTuple

import httpx

from purchase_pipeline import PipelineError
from purchase_pipeline.ingest.formats import NdJson, RowFormat, split_rows
from purchase_pipeline.ingest.landing.manifest import LandedPage
from purchase_pipeline.ingest.landing.pages import StagedPages
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.ingest.sources.http_format import response_format
from purchase_pipeline.ingest.sources.pages import NoPages, PageResponse, Pages
from purchase_pipeline.ingest.sources.request import Page, PartitionRequest

MOST_BYTES = 32 << 20
"""A longer response is not read to its end."""


class Found(NamedTuple):
    """Something that was found, how sure it is, and why."""

    what: object
    sure: Literal["sure", "likely", "guess"]
    why: str


class Received(NamedTuple):
    """A response: its body, decompressed; whether that is all of it; its URL, links and headers."""

    content: bytes
    is_whole: bool
    page: PageResponse

    @property
    def default_format(self) -> RowFormat | None:
        """The format that a source takes it for."""
        response = httpx.Response(200, headers=self.page.headers, request=httpx.Request("GET", self.page.url))
        with suppress(PipelineError):
            return response_format("", response, None, "")
        return None


class _Anything(NdJson, frozen=True):
    """Any format: the content is not split."""

    media_type: ClassVar = "JSON, NDJSON or CSV"


class _Enough(Exception):  # noqa: N818  (not an error)
    """All that was wanted has been received."""


def fetch_first(source: HttpSource, request: PartitionRequest) -> Received:
    """Request the first page of a partition.

    Raises:
        ApiUnavailableError, ApiRefusedError, MissingVariableError, TemplateError: as a source does.
    """
    content, pages = bytearray(), list[PageResponse]()

    class Watched(NoPages):
        def after(self, response: PageResponse) -> None:
            pages.append(response)

    def add(page: Page) -> LandedPage:
        for chunk in page.chunks:
            content.extend(chunk)
            if len(content) > MOST_BYTES:
                break
        return LandedPage(format=page.format, rows=0, raw_bytes=len(content))

    replace(source, pages=Watched(), format=_Anything()).fetch(request, add)
    return Received(bytes(content), len(content) <= MOST_BYTES, pages[0])


def follows(source: HttpSource, request: PartitionRequest, pages: Pages) -> bool | None:
    """Return whether a way to page leads to a second page with other rows; None if the first page is the last."""
    received = list[list[bytes]]()

    def add(page: Page) -> LandedPage:
        content = b"".join(page.chunks)
        received.append(list(split_rows(page.format, [content])))
        if len(received) > 1:
            raise _Enough
        return StagedPages(io.BytesIO()).add(replace(page, chunks=[content]))

    try:
        replace(source, pages=pages, attempts=1).fetch(request, add)
    except _Enough:
        first, second = received
        return first != second if second else None
    except PipelineError:
        return False
    return None


def members_of(envelope: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, object]]:
    """Yield the path and the value of each member of a JSON object and of the objects in it."""
    for name, value in envelope.items() if isinstance(envelope, dict) else ():
        yield ".".join((*path, name)), value
        yield from members_of(value, (*path, name))
