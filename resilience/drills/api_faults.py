"""Answers that no good API gives: what becomes of a lot on its way out."""

import asyncio
import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import repeat
from typing import TypeAlias

import zstandard
from starlette.types import ASGIApp, Receive, Scope, Send

from resilience.drills.faulty_api import Response, Spoiler, changed, in_place, whole_response

Rows: TypeAlias = Sequence[bytes]
_HUGE_BYTES = 5_000_000
_BRACKETS = 100_000


def status(code: int, body: bytes = b"", media_type: str = "text/plain", **headers: str) -> Spoiler:
    """Respond with a status and nothing of the lot."""
    return in_place(lambda: Response(code, {"content-type": media_type}, b"").with_body(body, **headers))


def too_many_requests_until() -> Spoiler:
    """Respond 429, and say by a date to wait for a second."""

    def response() -> Response:
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
        return Response(429, {"content-length": "0", "retry-after": until}, b"")

    return in_place(response)


def with_rows(change: Callable[[Rows], Rows]) -> Spoiler:
    """Send other rows, as NDJSON, without a digest."""
    return changed(lambda response: response.with_body(as_ndjson(change(rows_of(response.body)))))


def rows_of(ndjson: bytes) -> list[bytes]:
    """Part a body into its rows."""
    return ndjson.split(b"\n")[:-1]


def as_ndjson(rows: Rows) -> bytes:
    """Make a body of rows."""
    return b"".join(row + b"\n" for row in rows)


def one_short(rows: Rows) -> Rows:
    """Leave out the last row."""
    return rows[:-1]


def one_doubled(rows: Rows) -> Rows:
    """Send the first row twice: one row too many."""
    return [rows[0], *rows]


def repeated(rows: Rows) -> Rows:
    """Send the first row in the second's place too: as many rows as were asked for."""
    return [rows[0], rows[0], *rows[2:]]


def with_huge_field(rows: Rows) -> Rows:
    """Make the first row's occupation 5 MB long."""
    return [rows[0].replace(b'"job":"', b'"job":"' + b"x" * _HUGE_BYTES, 1), *rows[1:]]


def with_deep_nesting(rows: Rows) -> Rows:
    """Send 100,000 brackets in the first row's place."""
    return [b"[" * _BRACKETS + b"]" * _BRACKETS, *rows[1:]]


def with_nul(rows: Rows) -> Rows:
    """Put a NUL, as it is and not escaped, into the first row."""
    return [rows[0].replace(b'"job":"', b'"job":"\0', 1), *rows[1:]]


def with_stale_digest() -> Spoiler:
    """Change a byte, and send the digest of what it was."""

    def change(response: Response) -> Response:
        stale = response.headers["content-digest"]
        altered = response.body.replace(b'"job":"', b'"job":"X', 1)
        return response.with_body(altered, content_digest=stale)

    return changed(change)


def with_wrong_length() -> Spoiler:
    """Promise a byte more than is sent."""
    return changed(
        lambda response: response.with_body(response.body, content_length=str(len(response.body) + 1))
    )


def of_media_type(media_type: str) -> Spoiler:
    """Send the lot under another name."""
    return changed(lambda response: response.with_body(response.body, content_type=media_type))


def in_encoding(encoding: str) -> Spoiler:
    """Send the lot in another encoding than JSON's."""
    return changed(lambda response: response.with_body(response.body.decode().encode(encoding, "replace")))


def gzipped(share: float = 1.0) -> Spoiler:
    """Send the lot compressed; of the compressed bytes that share."""

    def change(response: Response) -> Response:
        packed = gzip.compress(response.body)
        return response.with_body(packed[: int(share * len(packed))], content_encoding="gzip")

    return changed(change)


def last_row_cut(content_encoding: str) -> Spoiler:
    """Send the lot in a content coding up to the middle of its last row, and let that be all."""

    def change(response: Response) -> Response:
        cut = response.body[: -len(rows_of(response.body)[-1]) // 2]
        begun = _BEGUN[content_encoding](cut)
        return response.with_body(begun, content_encoding=content_encoding)

    return changed(change)


def in_two(content_encoding: str) -> Spoiler:
    """Send the lot in two members or frames of a content coding, the second from the middle of a row."""

    def change(response: Response) -> Response:
        encode, middle = _WHOLE[content_encoding], len(response.body) // 2
        halves = encode(response.body[:middle]) + encode(response.body[middle:])
        return response.with_body(halves, content_encoding=content_encoding)

    return changed(change)


def _begun_zlib(content: bytes, window: int) -> bytes:
    packer = zlib.compressobj(wbits=window)
    return packer.compress(content) + packer.flush(zlib.Z_SYNC_FLUSH)


def _begun_zstd(content: bytes) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(content) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


_WHOLE: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstandard.compress}
_BEGUN: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": lambda content: _begun_zlib(content, zlib.MAX_WBITS | 16),
    "deflate": lambda content: _begun_zlib(content, zlib.MAX_WBITS),
    "zstd": _begun_zstd,
}
"""A coding's stream, of which the end is still to come."""


def as_array(change: Callable[[Rows], Rows] = lambda rows: rows, share: float = 1.0) -> Spoiler:
    """Send the lot as a JSON array; of its bytes that share."""

    def rewrite(response: Response) -> Response:
        whole = b"[" + b",".join(change(rows_of(response.body))) + b"]"
        return response.with_body(whole[: int(share * len(whole))], content_type="application/json")

    return changed(rewrite)


def streamed(pieces: Callable[[bytes], Iterable[bytes]], *, seconds_between: float = 0.0) -> Spoiler:
    """Send pieces of the lot's body, chunked, with a pause after each; break off if they end in an error."""

    async def spoiler(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        response = await whole_response(app, scope, receive)
        headers = [(b"content-type", response.headers["content-type"].encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        gone = asyncio.create_task(_client_gone(receive))
        for piece in pieces(response.body):
            if gone.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(seconds_between)
        await send({"type": "http.response.body", "body": b""})

    return spoiler


async def _client_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def drops(body: bytes) -> Iterator[bytes]:
    """Part a body into drops of 64 bytes."""
    return (body[at : at + 64] for at in range(0, len(body), 64))


def without_end(body: bytes) -> Iterator[bytes]:
    """Send the body again and again."""
    return repeat(body)


def line_without_end(body: bytes) -> Iterator[bytes]:  # noqa: ARG001
    """Send one line that does not end."""
    return repeat(b" x" * 50_000)
