"""Attacks by an API: each fetch ends in time, in bounded memory, with one printable line."""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain, count, repeat
from pathlib import Path
from socketserver import StreamRequestHandler
from time import monotonic, sleep

import pytest

from purchase_pipeline.ingest.formats import NDJSON
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.sources.errors import ApiRefusedError, ApiUnavailableError
from purchase_pipeline_tests.fetching import an_api, fetched, listening, request

DEADLINE_SECONDS = 1.0
OVERTIME_SECONDS = 15.0  # for a busy machine; an attack itself never ends
MOST_MEGABYTES = 200
OK = f"HTTP/1.1 200 OK\r\nContent-Type: {NDJSON.media_type}\r\n".encode()
ARRAY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CONTROLS = b"\x1b]52;c;aGk=\x07\x1b[2J\x08" + "\u202e\x85".encode()


def drip(line: bytes) -> Iterator[bytes]:
    for byte in line:
        yield bytes([byte])
        sleep(0.02)


def gzip_bomb(row: bytes) -> Iterator[bytes]:
    """Compress rows after 10 MB of spaces each, endlessly."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    blanks = b" " * 10_000_000
    return (packer.compress(blanks) + packer.compress(row) for _ in count())


def zstd_bomb() -> Iterator[bytes]:
    """Send a zstd frame of RLE blocks: 4 bytes for 128 KB."""
    block = (131_072 << 3 | 1 << 1).to_bytes(3, "little") + b" "
    return chain([b"\x28\xb5\x2f\xfd\x00\x68"], repeat(block * 16_000))


ATTACKS: dict[str, Callable[[], Iterable[bytes]]] = {
    "headers without end": lambda: chain([OK], repeat(b"X-A: %s\r\n" % (b"a" * 1_000))),
    "a header without end": lambda: chain([OK, b"X-A: "], repeat(b"a" * 65_536)),
    "headers that drip": lambda: chain([OK], drip(b"X-A: a\r\n" * 1_000)),
    "a flood of 103": lambda: repeat(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 500),
    "100s that drip": lambda: chain.from_iterable(drip(b"HTTP/1.1 100 Continue\r\n\r\n") for _ in range(100)),
    "chunk extensions without end": lambda: chain([CHUNKED, b"8;"], repeat(b"a" * 65_536)),
    "more extension than chunk": lambda: chain([CHUNKED], repeat(b"1;%s\r\nx\r\n" % (b"a" * 16_000))),
    "chunks of two bytes": lambda: chain([CHUNKED], repeat(b"2\r\nxy\r\n" * 9_000)),
    "trailers without end": lambda: chain(
        [CHUNKED, b"6\r\n1\n2\n3\n\r\n0\r\n"], repeat(b"X-A: %s\r\n" % (b"a" * 1_000))
    ),
    "trailers that drip": lambda: chain([CHUNKED, b"6\r\n1\n2\n3\n\r\n0\r\n"], drip(b"X-A: a\r\n" * 1_000)),
    "a body that drips": lambda: chain([OK, b"\r\n"], drip(b"x" * 10_000)),
    "a gzip bomb of blanks": lambda: chain([OK, b"Content-Encoding: gzip\r\n\r\n"], gzip_bomb(b"")),
    "a gzip bomb of rows": lambda: chain([OK, b"Content-Encoding: gzip\r\n\r\n"], gzip_bomb(b"{}\n")),
    "gzip in gzip": lambda: [
        OK + b"Content-Encoding: gzip, gzip\r\n\r\n",
        gzip.compress(gzip.compress(bytes(50_000_000))),
    ],
    "a zstd bomb": lambda: chain([OK, b"Content-Encoding: zstd\r\n\r\n"], zstd_bomb()),
    "a zstd bomb for an explanation": lambda: chain(
        [b"HTTP/1.1 404 No\r\nContent-Encoding: zstd\r\n\r\n"], zstd_bomb()
    ),
    "gzip members without content": lambda: chain(
        [OK, b"Content-Encoding: gzip\r\n\r\n"], repeat(gzip.compress(b"") * 3_000)
    ),
    "3,000 codings": lambda: [
        OK + b"Content-Encoding: " + b"gzip, " * 3_000 + b"\r\n\r\n",
        gzip.compress(b"1"),
    ],
    "an element of 4 bytes a character": lambda: chain(
        [ARRAY, '["\U0001f600'.encode()], repeat(b"x" * 65_536)
    ),
    "an explanation that drips": lambda: chain([b"HTTP/1.1 404 No\r\n\r\n"], drip(b"no " * 1_000)),
    "a reason to break terminals": lambda: [b"HTTP/1.1 404 %s%s\r\n\r\n" % (CONTROLS, b"r" * 90_000)],
    "an explanation to break terminals": lambda: [b"HTTP/1.1 404 No\r\n\r\n%s\r\nall\nloaded\0" % CONTROLS],
    "a media type to break terminals": lambda: [
        b"HTTP/1.1 200 OK\r\nContent-Type: a%s%s\r\n\r\n" % (CONTROLS, b"b" * 90_000)
    ],
    "a coding to break terminals": lambda: [
        OK + b"Content-Encoding: %s\r\n\r\n" % (CONTROLS + b"c" * 90_000)
    ],
    "a location to break terminals": lambda: [
        b"HTTP/1.1 302 Found\r\nLocation: https://a/%s%s\r\n\r\n" % (CONTROLS, b"d" * 60_000)
    ],
    "no HTTP at all": lambda: [CONTROLS + b"e" * 90_000],
    "a broken header": lambda: [OK + CONTROLS + b"f" * 90_000 + b"\r\n\r\n"],
    "a status without end": lambda: chain([b"HTTP/1.1 "], repeat(b"2" * 65_536)),
    "a length beyond numbers": lambda: [OK + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n"],
    "a chunk beyond numbers": lambda: [CHUNKED + b"f" * 5_000 + b"\r\n"],
}


@contextmanager
def attacking(attack: Callable[[], Iterable[bytes]]) -> Iterator[str]:
    class Attacker(StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                for piece in attack():
                    self.wfile.write(piece)

    with listening(Attacker) as url:
        yield url


def megabytes(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) / 1024


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Memory's peak is Linux's to tell.")
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_ends_in_time_in_bounded_memory_with_one_line(attack: str, tmp_path: Path) -> None:
    landing = landing_at(str(tmp_path))
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    before, started = megabytes("VmRSS"), monotonic()

    with attacking(ATTACKS[attack]) as url:
        api = an_api(url, read_seconds=5, timeout_seconds=DEADLINE_SECONDS)
        with pytest.raises((ApiUnavailableError, ApiRefusedError)) as failed:
            landing.land("lote-0001", partial(api.fetch, request(10_000)))
        seconds = monotonic() - started

    assert seconds < DEADLINE_SECONDS + OVERTIME_SECONDS
    assert megabytes("VmHWM") - before < MOST_MEGABYTES
    message = str(failed.value)
    assert message.startswith("lote-0001: ")
    assert message.isprintable()
    assert len(message) < 500
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "stated",
    ["60", "61", "9" * 400, "9" * 5_000, "Fri, 31 Dec 9999 23:59:59 GMT"],
    ids=lambda stated: stated[:12],
)
def test_retry_after_is_limited_to_a_minute(stated: str) -> None:
    refusal = f"HTTP/1.1 503 No\r\nRetry-After: {stated}\r\n\r\n".encode()

    with (
        attacking(lambda: [refusal]) as url,
        pytest.raises(ApiUnavailableError) as failed,
    ):
        fetched(url, 1)

    assert failed.value.retry_after_seconds == 60
