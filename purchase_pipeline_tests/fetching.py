"""A lot fetched from a server that sends these bytes and no others."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

from purchase_pipeline.ingest.formats import NDJSON, split_rows
from purchase_pipeline.ingest.landing.manifest import LandedPage
from purchase_pipeline.ingest.response_body import CompleteRows
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.ingest.sources.request import Page, PartitionRequest, Source
from purchase_pipeline.ingest.sources.variables import Known
from purchase_pipeline.purchases import purchase_source


def an_api(
    url: str, *, read_seconds: float = 10.0, attempts: int = 1, timeout_seconds: float = 600.0
) -> HttpSource:
    """Return the source of purchases at a URL."""
    return purchase_source(
        Known("PURCHASE_API_URL", url),
        attempts=attempts,
        connect_timeout_seconds=read_seconds,
        read_timeout_seconds=read_seconds,
        timeout_seconds=timeout_seconds,
    )


class _Server(ThreadingTCPServer):
    """A server that does not wait for what it still sends to a client that has gone."""

    daemon_threads = True
    block_on_close = False


@contextmanager
def listening(handler: type[StreamRequestHandler]) -> Iterator[str]:
    """Serve each connection with a handler, in threads; give the base URL."""
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def sent_raw(*answers: bytes) -> Iterator[str]:
    """Send these bytes, and no others, to who asks, then hang up; of several answers the next, the last ever again."""
    coming = chain(answers, repeat(answers[-1]))

    class Sender(StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            with suppress(OSError):
                self.wfile.write(next(coming))

    with listening(Sender) as url:
        yield url


def request(rows: int, lote: str = "lote-0001") -> PartitionRequest:
    return PartitionRequest(lote, {"rows": rows})


class Received:
    """Pages in memory: the rows of each, and what was known of it from the request."""

    def __init__(self) -> None:
        self.pages: list[tuple[Page, list[bytes]]] = []

    @property
    def rows(self) -> list[bytes]:
        """All rows."""
        return [row for _, rows in self.pages for row in rows]

    def add(self, page: Page) -> LandedPage:
        """Add a page, as a landing does."""
        content = CompleteRows(page)
        raw = list(content)
        self.pages.append((page, list(split_rows(page.format, raw))))
        return LandedPage(
            format=page.format,
            rows=content.rows,
            raw_bytes=sum(map(len, raw)),
            variables=dict(page.variables),
            envelope=content.envelope,
        )


def rows_from(source: Source, asked: PartitionRequest) -> list[bytes]:
    """Return the rows of a partition."""
    received = Received()
    source.fetch(asked, received.add)
    return received.rows


def fetched(url: str, rows: int, *, attempts: int = 1) -> list[bytes]:
    return rows_from(an_api(url, attempts=attempts), request(rows))


def raw_answer(body: bytes, *headers: str) -> bytes:
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Type: {NDJSON.media_type}", *headers, "", ""])
    return head.encode() + body
