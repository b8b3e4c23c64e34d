"""A deadline for a whole HTTP exchange. httpx bounds each wait for the next bytes, and never the sum of the waits."""

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any

import httpx

_CONNECTED = ("connect_tcp.complete", "connect_unix_socket.complete", "start_tls.complete")


class RequestDeadline:
    """Cuts the connections that an exchange made when its time is up: whoever waits for bytes gets an error."""

    def __init__(self) -> None:
        self.is_over = False
        self._sockets: list[socket.socket] = []

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of a new connection. To be httpx's extension of that name, for a request that reuses none."""
        if event.endswith(_CONNECTED):
            self._sockets.append(info["return_value"].get_extra_info("socket"))
            if self.is_over:  # since the last look
                self.cut()

    def pass_on(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass bytes on while there is time. The end of a connection that was cut here is not the end of a response.

        Raises:
            httpx.ReadTimeout: the time is up.
        """
        for chunk in chunks:
            self._require_time()
            yield chunk
        self._require_time()

    def _require_time(self) -> None:
        if self.is_over:
            raise httpx.ReadTimeout("The deadline of the exchange is over.")

    def cut(self) -> None:
        """End the exchange."""
        self.is_over = True
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def request_deadline(seconds: float) -> Iterator[RequestDeadline]:
    """Hold a deadline over the exchange that is made within."""
    deadline = RequestDeadline()
    timer = Timer(seconds, deadline.cut)
    timer.daemon = True
    timer.start()
    try:
        yield deadline
    finally:
        timer.cancel()
