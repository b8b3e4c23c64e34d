"""A deadline for a whole HTTP exchange. httpx bounds each wait for the next bytes, and never the sum of the waits."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any

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
