"""The body of a response: decoded, and checked to be complete."""

from collections.abc import Iterable, Iterator, Sequence

import httpx

from purchase_pipeline.ingest.content_coding import DamagedContentError, content_codings, decoded, in_pieces
from purchase_pipeline.ingest.content_digest import ContentDigest
from purchase_pipeline.ingest.deadline import RequestDeadline
from purchase_pipeline.ingest.row_splitter import (
    RawFormat,
    UnreadableResponseError,
    is_whole_json,
    row_splitter,
)

_LONGEST_ROW_BYTES = 16 << 20  # a row is held in memory
_LONGEST_MEAN_ROW_BYTES = 64 << 10  # bounds a compressed body that never ends


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


def complete_rows(rows: int, raw_format: RawFormat, content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes, and raise unless they contain exactly `rows` complete rows.

    Raises:
        UnreadableResponseError: there are more or fewer rows, the last row is truncated, or the body is too long.
    """
    splitter, size, seen, unfinished = row_splitter(raw_format), 0, 0, 0
    try:
        for chunk in content:
            complete = len(splitter.feed(chunk))
            size, seen = size + len(chunk), seen + complete
            unfinished = len(chunk) + (0 if complete else unfinished)
            if seen > rows:
                break
            _require_limits(rows, size, unfinished)
            yield chunk
        else:
            seen += len(_require_complete(splitter.close()))
    except UnreadableResponseError as error:
        raise UnreadableResponseError(f"{error} {seen} of {rows} rows were complete.") from error
    if seen != rows:
        raise UnreadableResponseError(f"requested {rows} rows, received {seen}.")


def _require_limits(rows: int, size: int, unfinished: int) -> None:
    most_bytes = _LONGEST_ROW_BYTES + rows * _LONGEST_MEAN_ROW_BYTES
    if unfinished > _LONGEST_ROW_BYTES:
        raise UnreadableResponseError(f"a row is longer than {_LONGEST_ROW_BYTES:,} bytes.")
    if size > most_bytes:
        raise UnreadableResponseError(f"the response is longer than {most_bytes:,} bytes.")


def _require_complete(last: Sequence[bytes]) -> Sequence[bytes]:
    """Return the rows after the last line end, if they are whole JSON values: the line may be truncated."""
    if not all(map(is_whole_json, last)):
        raise UnreadableResponseError(
            "the last line is truncated: it has no line end, and is not complete JSON."
        )
    return last
