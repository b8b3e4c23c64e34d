"""Batches in every format and coding; truncated ones are never complete."""

import base64
import gzip
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from purchase_pipeline.ingest.sources.errors import IncompleteResponseError
from purchase_pipeline_tests.codings import CODINGS
from purchase_pipeline_tests.fetching import fetched, sent_raw

ROWS = [b'{"a": 1, "b": "x"}', '{"a": 2, "b": "é"}'.encode(), b'{"a": 3, "b": [{}]}']
FORMATS = {
    "lines": ("application/x-ndjson", b"\n".join(ROWS) + b"\n"),
    "lines, the last without end": ("application/x-ndjson", b"\n".join(ROWS)),
    "array": ("application/json", b"[" + b", ".join(ROWS) + b"]\n"),
}
ENCODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {"identity": ("", bytes), **CODINGS}


def answer(body: bytes, media_type: str, encoding: str = "", *headers: str) -> bytes:
    """Return a response without Content-Length, which ends with its connection."""
    encoded = [f"Content-Encoding: {encoding}"] if encoding else []
    head = ["HTTP/1.1 200 OK", f"Content-Type: {media_type}", *encoded, *headers, "", ""]
    return "\r\n".join(head).encode() + body


@contextmanager
def fetches(*answers: bytes) -> Iterator[Callable[[], list[bytes]]]:
    """Yield a function that fetches the next response."""
    with sent_raw(*answers) as url:
        yield lambda: fetched(url, len(ROWS))


@pytest.mark.parametrize("coding", ENCODINGS)
@pytest.mark.parametrize("form", FORMATS)
def test_a_response_truncated_anywhere_is_complete_or_refused(form: str, coding: str) -> None:
    (media_type, body), (encoding, encode) = FORMATS[form], ENCODINGS[coding]
    encoded = encode(body)
    # Plain content may lack its last byte, the line end after a complete row.
    cuts = range(len(encoded.rstrip()) if coding == "identity" else len(encoded))

    with fetches(*(answer(encoded[:at], media_type, encoding) for at in cuts)) as fetch:
        for _ in cuts:
            with pytest.raises(IncompleteResponseError):
                fetch()
    with fetches(answer(encoded, media_type, encoding)) as fetch:
        assert fetch() == ROWS


MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("media_type", "body", "ends"),
    [
        ("application/x-ndjson", MARK + b"\n".join(ROWS), b""),
        ("application/json", MARK + b"[" + b",".join(ROWS) + b"]", b""),
        ("application/x-ndjson", b"\r\n".join(ROWS) + b"\r\n", b"\r"),
        ("application/x-ndjson", b"\n\r\n" + b"\n\n".join(ROWS) + b"\n\n \r\n\n", b""),
        ("application/json", b" \r\n[\r\n" + b",\r\n".join(ROWS) + b"\r\n]\r\n", b""),
    ],
    ids=["mark before lines", "mark before an array", "CRLF", "blank lines", "CRLF in an array"],
)
def test_rows_may_have_any_separator(media_type: str, body: bytes, ends: bytes) -> None:
    with fetches(answer(body, media_type)) as fetch:
        assert fetch() == [row + ends for row in ROWS]


@pytest.mark.parametrize(
    ("form", "media_type"),
    [
        *(("lines", f"application/{name}") for name in ("x-ndjson", "ndjson", "jsonl", "x-jsonl")),
        *(("lines", f"application/{name}") for name in ("jsonlines", "x-jsonlines", "json-lines")),
        *(("lines", media_type) for media_type in ("text/x-ndjson", "Text/JSONL; charset=utf-8")),
        *(("array", media_type) for media_type in ("text/json", "application/JSON;charset=UTF-8")),
        *(("array", f"application/{name}+json") for name in ("vnd.api", "hal", "vnd.shop.v1.2")),
    ],
)
def test_a_format_is_recognized_by_its_common_media_types(form: str, media_type: str) -> None:
    with fetches(answer(FORMATS[form][1], media_type)) as fetch:
        assert fetch() == ROWS


@pytest.mark.parametrize("digested", ["encoded", "decoded"])
def test_a_digest_may_be_of_the_encoded_or_decoded_bytes(digested: str) -> None:
    media_type, body = FORMATS["lines"]
    encoded = gzip.compress(body)
    of = encoded if digested == "encoded" else body
    stated = f"Content-Digest: sha-256=:{base64.b64encode(hashlib.sha256(of).digest()).decode()}:"
    damaged = gzip.compress(body.replace(b"x", b"y"))

    with fetches(*(answer(sent, media_type, "gzip", stated) for sent in (encoded, damaged))) as fetch:
        assert fetch() == ROWS
        with pytest.raises(IncompleteResponseError, match="does not match its Content-Digest"):
            fetch()


def test_an_unsupported_coding_is_named() -> None:
    with (
        fetches(answer(b"...", "application/x-ndjson", "br")) as fetch,
        pytest.raises(IncompleteResponseError, match=r"^lote-0001: unsupported content coding 'br'\."),
    ):
        fetch()
