"""A lot fetched from a server that sends these bytes and no others."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import httpx

from purchase_pipeline.ingest.purchase_api import PurchaseApi
from purchase_pipeline.ingest.row_splitter import RawFormat, split_rows


@contextmanager
def an_api(url: str, *, timeout_seconds: float = 10.0, attempts: int = 1) -> Iterator[PurchaseApi]:
    with httpx.Client(base_url=url, timeout=timeout_seconds, trust_env=False) as client:
        yield PurchaseApi(client, attempts=attempts)


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


def received(raw_format: RawFormat, chunks: Iterator[bytes]) -> list[bytes]:
    return list(split_rows(raw_format, chunks))


def fetched(url: str, rows: int, *, attempts: int = 1) -> list[bytes]:
    with an_api(url, attempts=attempts) as api:
        return api.fetch_lote("lote-0001", rows, received)


def raw_answer(body: bytes, *headers: str) -> bytes:
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Type: {RawFormat.NDJSON}", *headers, "", ""])
    return head.encode() + body
