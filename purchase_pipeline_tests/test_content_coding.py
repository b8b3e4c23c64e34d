"""Content codings: decoded completely or refused, in bounded memory."""

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
import zstandard

from purchase_pipeline.ingest.content_coding import DamagedContentError, decoded, in_pieces
from purchase_pipeline_tests.codings import CODINGS, SKIPPABLE_FRAME

CONTENT = b'{"a": 1, "b": "x"}\n{"a": 2, "b": "yz"}\n{"a": 3, "b": "w"}\n'


def content(encoding: str, *chunks: bytes) -> bytes:
    return b"".join(decoded(encoding, chunks))


@pytest.mark.parametrize("coding", CODINGS)
def test_content_is_the_same_at_any_chunk_boundary(coding: str) -> None:
    encoding, encode = CODINGS[coding]
    encoded = encode(CONTENT)

    assert content(encoding, *(bytes([byte]) for byte in encoded)) == CONTENT
    for at in range(len(encoded) + 1):
        assert content(encoding, encoded[:at], encoded[at:]) == CONTENT


@pytest.mark.parametrize("coding", CODINGS)
def test_truncated_content_is_damaged(coding: str) -> None:
    encoding, encode = CODINGS[coding]
    encoded = encode(CONTENT)

    for at in range(len(encoded)):
        try:
            found = content(encoding, encoded[:at])
        except DamagedContentError:
            continue
        # Cut at the end of a member or frame; missing rows are detected elsewhere.
        assert (coding, found) in {("gzip of two members", CONTENT[:30]), ("zstd in frames", CONTENT[:30])}


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("", CONTENT),
        ("identity", CONTENT),
        (" GZIP ", gzip.compress(CONTENT)),
        ("x-gzip", gzip.compress(CONTENT)),
        ("gzip, identity", gzip.compress(CONTENT)),
        ("gzip", gzip.compress(CONTENT) + bytes(700)),
        ("gzip", gzip.compress(b"") + gzip.compress(CONTENT) + gzip.compress(b"")),
        ("zstd", SKIPPABLE_FRAME + zstandard.compress(CONTENT) + SKIPPABLE_FRAME),
        ("zstd", zstandard.compress(CONTENT, 19)),
        ("deflate", zlib.compress(CONTENT, 0)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_spellings_of_a_coding_are_accepted(encoding: str, encoded: bytes) -> None:
    assert content(encoding, encoded) == CONTENT


@pytest.mark.parametrize(
    ("encoding", "encoded", "saw"),
    [
        ("gzip", b"", "content is truncated"),
        ("gzip", CONTENT, "is damaged"),
        ("gzip", gzip.compress(CONTENT)[:-12] + b"x" * 12, "is damaged"),
        ("gzip", gzip.compress(CONTENT) + b"more", "is damaged"),
        ("deflate", b"\xff" * 99, "is damaged"),
        ("deflate", zlib.compress(CONTENT)[:-4] + b"sums", "is damaged"),
        ("zstd", CONTENT, "is damaged"),
        ("br", CONTENT, "unsupported content coding 'br'"),
        ("gzip, \x1b[2J" + "x" * 99, CONTENT, r"unsupported content coding '\\x1b\[2jx+'"),
        (", ".join(["gzip"] * 4), CONTENT, "4 nested content codings"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isprintable() else "",
)
def test_content_that_does_not_match_its_coding_is_damaged(encoding: str, encoded: bytes, saw: str) -> None:
    with pytest.raises(DamagedContentError, match=saw):
        content(encoding, encoded)


def test_a_too_large_zstd_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=24, compression_level=1)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    encoded = packer.compress(CONTENT) + packer.flush()

    with pytest.raises(DamagedContentError, match="too much memory"):
        content("zstd", encoded)


def gzip_bomb() -> bytes:
    return gzip.compress(bytes(100_000_000))


def zstd_bomb() -> bytes:
    """Return a frame of RLE blocks: 4 bytes for 128 KB."""
    block = (131_072 << 3 | 1 << 1).to_bytes(3, "little") + b" "
    return b"\x28\xb5\x2f\xfd\x00\x68" + block * 16_000


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip_bomb),
        ("deflate", lambda: zlib.compress(bytes(100_000_000))),
        ("gzip, gzip", lambda: gzip.compress(gzip_bomb())),
        ("zstd", zstd_bomb),
    ],
    ids=["gzip", "deflate", "gzip twice", "zstd"],
)
def test_a_decompression_bomb_is_split_into_bounded_pieces(encoding: str, pack: Callable[[], bytes]) -> None:
    bomb = pack()

    assert max(map(len, islice(decoded(encoding, [bomb]), 20))) <= 17 << 20
    assert max(map(len, islice(in_pieces(decoded(encoding, [bomb])), 200))) <= 1 << 18


def test_pieces_have_the_same_bytes() -> None:
    def chunks() -> Iterator[bytes]:
        for size in (1, 2, 0, 300_000, 20_000, 1, 600_000, 5):
            yield data[sum(taken) : sum(taken) + size]
            taken.append(size)

    data, taken = os.urandom(920_009), list[int]()

    pieces = list(in_pieces(chunks()))

    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 1 << 18
    assert len(list(in_pieces(bytes([byte]) for byte in data))) < 60
