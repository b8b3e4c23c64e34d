"""Decoding of content codings (RFC 9110, 8.4), in bounded memory; truncated content is an error.

httpx's own decoding accepts a truncated gzip or deflate stream, reads only the first member of a gzip, and expands
64 KB to 2 GB in one piece.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Protocol

import zstandard

from purchase_pipeline import PipelineError

ACCEPT_ENCODING = "gzip, deflate, zstd"
_MOST_CODINGS = 3  # each keeps a window in memory; real servers use one
# Input is fed in slices, so that a piece of output has 16 MB at most.
_ZLIB_SLICE_BYTES, _ZSTD_SLICE_BYTES = 1 << 14, 1 << 9
_ZLIB_HEADER_BYTES = 2
_ZSTD_WINDOW_BYTES = 8 << 20  # the maximum that a server may use (RFC 9659)
_SMALL_BYTES, _PIECE_BYTES = 1 << 14, 1 << 18


class DamagedContentError(PipelineError):
    """The content does not match its Content-Encoding, or the compressed stream is truncated."""


class _Stream(Protocol):
    """One compressed stream: a gzip member, a zlib stream, a zstd frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def decoded(content_encoding: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the decoded content of a response.

    Raises:
        DamagedContentError: at once or during iteration.
    """
    codings = content_codings(content_encoding)
    if len(codings) > _MOST_CODINGS:
        raise DamagedContentError(f"{len(codings)} nested content codings")
    for coding in reversed(codings):
        if coding not in _DECODERS:
            raise DamagedContentError(f"unsupported content coding {coding[:20]!r}")
        chunks = _DECODERS[coding](chunks)
    return iter(chunks)


def content_codings(content_encoding: str) -> list[str]:
    """Return the codings named by a header, in the order they were applied."""
    codings = (coding.strip().lower() for coding in content_encoding.split(","))
    return [coding for coding in codings if coding not in {"", "identity"}]


def in_pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of moderate size."""
    gathered = bytearray()
    for chunk in chunks:
        if not gathered and _SMALL_BYTES <= len(chunk) <= _PIECE_BYTES:
            yield chunk
            continue
        gathered += chunk
        if len(gathered) >= _SMALL_BYTES:
            yield from _cut(bytes(gathered), _PIECE_BYTES)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


def _decompressed(
    new_stream: Callable[[], _Stream], chunks: Iterable[bytes], slice_bytes: int
) -> Iterator[bytes]:
    """Decompress one or more concatenated streams."""
    stream = new_stream()
    for chunk in chunks:
        for data in _cut(chunk, slice_bytes):
            rest = data
            while rest := (rest.lstrip(b"\0") if stream.eof else rest):  # a gzip may be padded
                stream = new_stream() if stream.eof else stream
                try:
                    yield stream.decompress(rest)
                except (zlib.error, zstandard.ZstdError) as error:
                    raise DamagedContentError(f"compressed content is damaged: {error}") from error
                rest = stream.unused_data
    if not stream.eof:
        raise DamagedContentError("compressed content is truncated")


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    return _decompressed(lambda: zlib.decompressobj(zlib.MAX_WBITS | 16), chunks, _ZLIB_SLICE_BYTES)


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decode `deflate`: zlib's format as in the standard, or raw deflate as some servers send it."""
    source, head = iter(chunks), b""
    while len(head) < _ZLIB_HEADER_BYTES and (chunk := next(source, None)) is not None:
        head += chunk
    is_zlib = head[:1] and head[0] & 0x8F == zlib.DEFLATED and int.from_bytes(head[:2], "big") % 31 == 0
    window = zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
    return _decompressed(lambda: zlib.decompressobj(window), chain([head], source), _ZLIB_SLICE_BYTES)


def _unzstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    return _decompressed(context.decompressobj, chunks, _ZSTD_SLICE_BYTES)


def _cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


_DECODERS = {"gzip": _gunzipped, "x-gzip": _gunzipped, "deflate": _inflated, "zstd": _unzstd}
