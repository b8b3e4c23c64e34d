"""The content of a response that brings a lot: decoded, and whole to its last row or refused."""

from collections.abc import Iterable, Iterator, Sequence

import httpx

from purchase_pipeline.ingest.content_coding import DamagedContentError, content_codings, decoded, in_pieces
from purchase_pipeline.ingest.content_digest import ContentDigest
from purchase_pipeline.ingest.deadline import RequestDeadline
from purchase_pipeline.ingest.row_splitter import RawFormat, UnreadableLotError, is_whole_json, row_splitter

_LONGEST_ROW_BYTES = 16 << 20  # a row is kept in memory until it ends, and in each step after
_LONGEST_MEAN_ROW_BYTES = 64 << 10  # compressed, a lot without end costs its sender next to nothing


def content_of(response: httpx.Response, deadline: RequestDeadline) -> Iterator[bytes]:
    """Yield the content of a response as a client is to see it, while there is time.

    Raises:
        UnreadableLotError: the content is not what the response's headers say.
        httpx.TransportError: the response broke off, or the time is up.
    """
    encoding = response.headers.get("content-encoding", "")
    digest = ContentDigest(response.headers.get("content-digest", ""))
    chunks = digest.watch(in_pieces(deadline.pass_on(response.iter_raw())))
    try:
        if content_codings(encoding):
            chunks = digest.watch(decoded(encoding, chunks))
        yield from deadline.pass_on(in_pieces(chunks))
    except DamagedContentError as error:
        raise UnreadableLotError(f"{error}.") from error
    if not digest.matches():
        raise UnreadableLotError("the answer's bytes do not match its Content-Digest.")


def whole_lot(rows: int, raw_format: RawFormat, content: Iterable[bytes]) -> Iterator[bytes]:
    """Pass a lot's bytes on, and fail at their end, or as soon as it is certain, unless they are so many whole rows.

    Raises:
        UnreadableLotError: there are more or fewer rows, the last one was cut, or there is no end to them.
    """
    splitter, size, seen, unfinished = row_splitter(raw_format), 0, 0, 0
    try:
        for chunk in content:
            whole = len(splitter.feed(chunk))
            size, seen = size + len(chunk), seen + whole
            unfinished = len(chunk) + (0 if whole else unfinished)
            if seen > rows:
                break
            _require_an_end(rows, size, unfinished)
            yield chunk
        else:
            seen += len(_whole_rows(splitter.close()))
    except UnreadableLotError as error:
        raise UnreadableLotError(f"{error} {seen} of {rows} rows were whole.") from error
    if seen != rows:
        raise UnreadableLotError(f"asked for {rows} rows, got {seen}.")


def _require_an_end(rows: int, size: int, unfinished: int) -> None:
    most_bytes = _LONGEST_ROW_BYTES + rows * _LONGEST_MEAN_ROW_BYTES
    if unfinished > _LONGEST_ROW_BYTES:
        raise UnreadableLotError(f"a row is longer than {_LONGEST_ROW_BYTES:,} bytes.")
    if size > most_bytes:
        raise UnreadableLotError(f"the answer is longer than {most_bytes:,} bytes.")


def _whole_rows(last: Sequence[bytes]) -> Sequence[bytes]:
    """Return the rows that the end of the content ended: a line that does not end may lack some of its row."""
    if not all(map(is_whole_json, last)):
        raise UnreadableLotError("the last line was cut: it does not end, and is not whole JSON.")
    return last
