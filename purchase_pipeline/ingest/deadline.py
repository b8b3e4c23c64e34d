"""A deadline for a whole HTTP exchange; httpx limits only each single read."""

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any

import httpx

_CONNECTED = ("connect_tcp.complete", "connect_unix_socket.complete", "start_tls.complete")


class RequestDeadline:
    """Shuts down the connections of an exchange when its time is up, so that pending reads fail."""

    def __init__(self) -> None:
        self.is_over = False
        self._sockets: list[socket.socket] = []

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Record a new connection. To be passed as httpx's `trace` extension; connections must not be reused."""
        if event.endswith(_CONNECTED):
            self._sockets.append(info["return_value"].get_extra_info("socket"))
            if self.is_over:  # expired while connecting
                self.cut()

    def pass_on(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the bytes until the deadline. A connection cut by it does not count as the end of the response.

        Raises:
            httpx.ReadTimeout: the deadline has passed.
        """
        for chunk in chunks:
            self._require_time()
            yield chunk
        self._require_time()

    def _require_time(self) -> None:
        if self.is_over:
            raise httpx.ReadTimeout("The deadline of the exchange has passed.")

    def cut(self) -> None:
        """Shut down the connections."""
        self.is_over = True
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def request_deadline(seconds: float) -> Iterator[RequestDeadline]:
    """Apply a deadline to the exchange within the block."""
    deadline = RequestDeadline()
    timer = Timer(seconds, deadline.cut)
    timer.daemon = True
    timer.start()
    try:
        yield deadline
    finally:
        timer.cancel()
