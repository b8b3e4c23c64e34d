"""The content codings that the client asks for, as good servers write them."""

import gzip
import zlib
from collections.abc import Callable

import zstandard

SKIPPABLE_FRAME = b"\x50\x2a\x4d\x18\x04\x00\x00\x00seek"


def _bare_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def _zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


def _zstd_stream(content: bytes) -> bytes:
    packer = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    head = packer.compress(content[:9]) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return head + packer.compress(content[9:]) + packer.flush()


def _in_two(encode: Callable[[bytes], bytes], between: bytes = b"") -> Callable[[bytes], bytes]:
    """Encode in two members or frames, of which the second begins within a row."""
    return lambda content: encode(content[:30]) + between + encode(content[30:])


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip of two members": ("gzip", _in_two(gzip.compress)),
    "deflate": ("deflate", zlib.compress),
    "deflate without zlib's header": ("deflate", _bare_deflate),
    "zstd": ("zstd", _zstd),
    "zstd as it is streamed": ("zstd", _zstd_stream),
    "zstd in frames": ("zstd", _in_two(_zstd, SKIPPABLE_FRAME)),
    "gzip upon zstd": ("zstd, gzip", lambda content: gzip.compress(_zstd(content))),
}
"""By its name: what Content-Encoding says, and how it is made."""
