"""Sample answers, and a server on loopback that sends them to an `HttpSource`."""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

import httpx
import zstandard

from purchase_pipeline.feeds.testing.stage import named
from purchase_pipeline.ingest.formats import JSON_ARRAY, NDJSON, Csv
from purchase_pipeline.ingest.printable import quantity
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.ingest.sources.pages import LinkHeader, PageResponse, Pages
from purchase_pipeline.ingest.sources.variables import MissingVariableError, address

Answer = bytes | str | Path | Sequence["bytes | str | Path"]
"""The bodies of a partition's responses, in the order of the requests; a path is that of a file with a body."""

Request = tuple[str, str, bytes]


def bodies_of(answer: Answer | None) -> list[bytes]:
    """Return the bodies of an answer."""
    if answer is None:
        return []
    parts = [answer] if isinstance(answer, bytes | str | Path) else answer
    return [part.read_bytes() if isinstance(part, Path) else _encoded(part) for part in parts]


def unpacked_body(body: bytes) -> bytes:
    """Return the content of a gzip or zstd file, or the body itself."""
    if body.startswith(b"\x1f\x8b"):
        return gzip.decompress(body)
    if body.startswith(b"\x28\xb5\x2f\xfd"):
        return zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True).read()
    return body


class AnswerServer:
    """Sends the answers of one partition at a time: each request that differs from those before gets the next body."""

    def __init__(self, source: HttpSource, answers: Mapping[str, list[bytes]]) -> None:
        self._answers = answers
        self._source = source
        self._bodies: list[bytes] = []
        self._key = ""
        self._requests = list[Request]()
        self._surplus = list[Request]()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def start(self) -> None:
        """Start to answer. Connections that were made before have waited."""
        if not self._thread.is_alive():
            self._thread.start()

    def source(self) -> HttpSource:
        """Return the source with this server as its API, and without what needs secrets or waits."""
        url = f"http://127.0.0.1:{self._server.server_port}"
        try:
            real = address(self._source.url)
        except MissingVariableError:
            real = ""
        return replace(
            self._source,
            url=f"{url}{httpx.URL(real).path.rstrip('/')}",
            pages=_LoopbackPages(self._source.pages, httpx.URL(real) if real else None),
            auth=None,
            rate=None,
            redis_url=None,
            attempts=1,
        )

    def turn_to(self, key: str) -> None:
        """Send the answers of a partition from now on, from the first."""
        self._key, self._bodies = key, self._answers.get(key, [])
        self._requests, self._surplus = [], []

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the response to a request."""
        if request not in self._requests:
            self._requests.append(request)
        number = self._requests.index(request)
        if number < len(self._bodies):
            body = self._bodies[number]
            return (
                HTTPStatus.OK,
                {"Content-Type": self._media_type(body), **self._link(number, request)},
                body,
            )
        if self._source.pages.repeats:  # the page after the last is empty
            return HTTPStatus.NO_CONTENT, {}, b""
        self._surplus.append(request)
        return HTTPStatus.NOT_FOUND, {}, b""

    def require_no_surplus(self) -> None:
        """Raise if a request had no answer."""
        for method, path, _ in self._surplus:
            raise AssertionError(
                f"{named(self._key)}the test gives {quantity(len(self._bodies), 'answer')}, but the feed sent another "
                f"request: {method} {path}. Add its answer, or end with a page that has no next one."
            )

    def require_all_sent(self) -> None:
        """Raise if an answer was not requested."""
        if len(self._requests) < len(self._bodies):
            sent = "; ".join(f"{method} {path}" for method, path, _ in self._requests) or "none"
            raise AssertionError(
                f"{named(self._key)}the test gives {quantity(len(self._bodies), 'answer')}, but the feed sent "
                f"{quantity(len(self._requests), 'request')}: {sent}. Check `pages` and `for_each` of the source."
            )

    def _media_type(self, body: bytes) -> str:
        if self._source.format is not None:
            return self._source.format.media_type
        return JSON_ARRAY.media_type if self._source.rows else _guessed(unpacked_body(body))

    def _link(self, number: int, request: Request) -> dict[str, str]:
        if not isinstance(self._source.pages, LinkHeader) or number + 1 >= len(self._bodies):
            return {}
        target = httpx.URL(request[1]).copy_set_param("answer", number + 2)
        return {"Link": f'<{target}>; rel="{self._source.pages.rel}"'}


@dataclass(frozen=True)
class _LoopbackPages:
    """The pages of a source, whose links within the real API lead to the server of the answers."""

    pages: Pages
    real: httpx.URL | None

    @property
    def repeats(self) -> bool:
        """As the pages themselves."""
        return self.pages.repeats

    def start(self, url: httpx.URL) -> httpx.URL:
        """Return the URL of the first page."""
        return self.pages.start(url)

    def after(self, response: PageResponse) -> httpx.URL | None:
        """Return the URL of the next page. Without a real URL, which a variable has, any host is taken for it."""
        following, here = self.pages.after(response), response.url
        if following is None or (self.real is not None and _origin(following) != _origin(self.real)):
            return following
        return following.copy_with(scheme=here.scheme, host=here.host, port=here.port)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _handler_of(answers: AnswerServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            """Answer any request."""
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, body = answers.answer((self.command, self.path, sent))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != HTTPStatus.NO_CONTENT:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = respond  # noqa: N815  (http.server's names)

        def log_message(self, *_: Any) -> None:  # noqa: ANN401
            """Log nothing."""

    return Handler


def _guessed(body: bytes) -> str:
    """Return the media type of a body: JSON if it is one value, NDJSON if its first line is, else CSV."""
    text = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"["):
        return JSON_ARRAY.media_type
    try:
        json.loads(text.partition(b"\n")[0] or b"{}")
    except ValueError:
        return Csv.media_type
    return NDJSON.media_type


def _encoded(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body
