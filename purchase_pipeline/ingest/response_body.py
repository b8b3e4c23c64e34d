"""The body of a response: decoded, and checked to be complete."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import httpx

from purchase_pipeline.ingest.content_coding import DamagedContentError, content_codings, decoded, in_pieces
from purchase_pipeline.ingest.content_digest import ContentDigest
from purchase_pipeline.ingest.deadline import RequestDeadline
from purchase_pipeline.ingest.row_splitter import UnreadableResponseError
from purchase_pipeline.ingest.sources.request import Page

_LONGEST_ROW_BYTES = 16 << 20  # a row is held in memory
_LONGEST_MEAN_ROW_BYTES = 64 << 10  # bounds a compressed body that never ends
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def content_of(response: httpx.Response, deadline: RequestDeadline) -> Iterator[bytes]:
    """Yield the decoded content of a response until the deadline.

    Raises:
        UnreadableResponseError: the content does not match the response's headers.
        httpx.TransportError: the connection broke, or the deadline passed.
    """
    encoding = response.headers.get("content-encoding", "")
    digest = ContentDigest(response.headers.get("content-digest", ""))
    chunks = digest.watch(in_pieces(deadline.pass_on(response.iter_raw())))
    try:
        if content_codings(encoding):
            chunks = digest.watch(decoded(encoding, chunks))
        yield from deadline.pass_on(in_pieces(chunks))
    except DamagedContentError as error:
        raise UnreadableResponseError(f"{error}.") from error
    if not digest.matches():
        raise UnreadableResponseError("the response does not match its Content-Digest.")


class CompleteRows:
    """The bytes of a page, checked while they are iterated: complete rows, as many as expected, of bounded length.

    Attributes:
        rows: number of complete rows so far.
        envelope: the JSON around the rows, known at the end.
    """

    def __init__(self, page: Page) -> None:
        self.rows = 0
        self._page = page
        self._splitter = page.format.splitter()

    @property
    def envelope(self) -> Any:  # noqa: ANN401
        """The JSON around the rows, without them; None before the end, and for other formats."""
        return self._splitter.envelope

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes.

        Raises:
            UnreadableResponseError: there are more or fewer rows, the last row is truncated, or the body is too long.
        """
        expected = self._page.expected_rows
        try:
            yield from self._checked(expected)
        except UnreadableResponseError as error:
            of = "" if expected is None else f"of {expected} "
            raise UnreadableResponseError(f"{error} {self.rows} {of}rows were complete.") from error
        if expected is not None and self.rows != expected:
            raise UnreadableResponseError(f"requested {expected} rows, received {self.rows}.")

    def _checked(self, expected: int | None) -> Iterator[bytes]:
        size = unfinished = 0
        for chunk in self._page.chunks:
            complete = len(self._splitter.feed(chunk))
            size, self.rows = size + len(chunk), self.rows + complete
            unfinished = len(chunk) + (0 if complete else unfinished)
            if expected is not None and self.rows > expected:
                return
            _require_limits(expected, size, unfinished)
            yield chunk
        last = self._splitter.close()
        if self._splitter.truncated:
            raise UnreadableResponseError(self._splitter.truncated)
        self.rows += len(last)


def _require_limits(expected: int | None, size: int, unfinished: int) -> None:
    if unfinished > _LONGEST_ROW_BYTES:
        raise UnreadableResponseError(f"a row is longer than {_LONGEST_ROW_BYTES:,} bytes.")
    if expected is not None and size > (most := _LONGEST_ROW_BYTES + expected * _LONGEST_MEAN_ROW_BYTES):
        raise UnreadableResponseError(f"the response is longer than {most:,} bytes.")


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of a gzip or zstd file, or the bytes themselves: no text begins like those.

    Raises:
        UnreadableResponseError: damaged or truncated.
    """
    source = iter(chunks)
    head = next(source, b"")
    coding = next((coding for magic, coding in _MAGIC.items() if head.startswith(magic)), "")
    try:
        yield from in_pieces(decoded(coding, chain([head], source)))
    except DamagedContentError as error:
        raise UnreadableResponseError(f"{error}.") from error
