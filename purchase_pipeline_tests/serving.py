"""Serves an ASGI application over real HTTP during a test."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Literal

import httpx
import uvicorn
from starlette.types import ASGIApp

from purchase_pipeline_tests.waiting import wait_until

START_DEADLINE_SECONDS = 30
_HTTP_ONLY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # see `stack/services.py`


def free_port() -> int:
    """Return a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    """Tell whether a server is there, and answers well."""
    try:
        return httpx.get(url, timeout=5, trust_env=False, verify=_HTTP_ONLY).is_success
    except httpx.TransportError:
        return False


@contextmanager
def served(
    app: ASGIApp,
    *,
    lifespan: Literal["auto", "on", "off"] = "auto",
    http: Literal["auto", "h11"] = "auto",
    send_buffer: int | None = None,
) -> Iterator[str]:
    """Run an application on a free loopback port in a thread; yield its base URL.

    `send_buffer` is how many bytes the system takes for a client that does not read; by default up to 4 MB.

    Raises:
        RuntimeError: the application did not start.
    """
    config = uvicorn.Config(
        app, lifespan=lifespan, http=http, log_config=None, access_log=False, timeout_graceful_shutdown=10
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="served", daemon=True)
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _wait_until_started(server: uvicorn.Server, thread: Thread) -> None:
    what = "the served application"
    wait_until(
        lambda: server.started or not thread.is_alive(), what, START_DEADLINE_SECONDS, look_seconds=0.005
    )
    if not server.started:
        raise RuntimeError("The served application did not start: see the log above")
