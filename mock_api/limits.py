"""Limits that protect the API from a single client: body size, concurrent batches, duration.

The route limits the rows of a batch. uvicorn limits URLs (65,535 bytes, else 400) and, only with `--http h11`, headers
(somewhat above 64 KiB, else 400).
"""

import asyncio

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mock_api.problems import problem_answer

CHUNK_BYTES = 65_536
"""Size of a response chunk: about what the server buffers for a client that does not read."""

TOO_LARGE = "The request body is too large: GET needs none"
TOO_MANY_LOTS = "Too many batches (lotes) at the same time: try again in a moment"
TOO_SLOW = "The request took too long and was cut off: request fewer purchases, or try again"

_LATER = {"Retry-After": "1"}


class Limits(BaseSettings):
    """The limits of a request; by default from the environment, as in `MOCK_API_MAX_LOTS=4`.

    Raises:
        ValueError: a limit is not a number, or out of range.
    """

    model_config = SettingsConfigDict(env_prefix="MOCK_API_", frozen=True)

    max_body_bytes: int = Field(default=16_384, ge=0)
    max_lots: int = Field(default=16, ge=1)
    deadline_seconds: float = Field(default=300.0, gt=0, allow_inf_nan=False)


class BoundedTime:
    """Middleware that ends a request after a deadline, whether the client or the generation is slow.

    If no headers have been sent, the response is a 503. Otherwise the connection is closed with the response
    incomplete, which every HTTP client detects. A block being generated is finished first (some 0.1 s).
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        started = False

        async def recording_send(message: Message) -> None:
            nonlocal started
            await send(message)
            started = True

        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._app(scope, receive, recording_send)
        except TimeoutError:
            if not started:
                await problem_answer(503, TOO_SLOW, _LATER)(scope, receive, send)


class BoundedBody:
    """Middleware that reads the request body first and refuses one that is too long with 413.

    Starlette's own limit counts what a handler reads, and no handler here reads a body: a chunked body without a
    length would pass.
    """

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if _declared_bytes(scope) > self._most_bytes:
            return await self._refuse(scope, receive, send)
        bytes_read, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            bytes_read, more = bytes_read + len(message["body"]), message["more_body"]
            if bytes_read > self._most_bytes:
                return await self._refuse(scope, receive, send)
        return await self._app(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Close the connection: the client could go on sending forever.
        await problem_answer(413, TOO_LARGE, {"Connection": "close"})(scope, receive, send)


def _declared_bytes(scope: Scope) -> int:
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


class BoundedLots:
    """Middleware that limits concurrent batches; further ones are refused with 503. Other paths always pass.

    Long responses are sent in chunks, each waiting until the client has read most of the previous ones. So a batch
    counts until its client has received it, and a client that does not read holds one chunk in memory, not a batch.
    """

    def __init__(self, app: ASGIApp, path: str, most_lots: int) -> None:
        self._app = app
        self._path = path
        self._most_lots = most_lots
        self._lots = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_in_chunks(message: Message) -> None:
            rest = memoryview(message.get("body", b""))
            while len(rest) > CHUNK_BYTES:
                chunk, rest = rest[:CHUNK_BYTES], rest[CHUNK_BYTES:]
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                message = {**message, "body": rest}
            await send(message)

        if scope["type"] != "http" or not scope["path"].startswith(self._path):
            return await self._app(scope, receive, send)
        if self._lots >= self._most_lots:
            return await problem_answer(503, TOO_MANY_LOTS, _LATER)(scope, receive, send)
        self._lots += 1
        try:
            return await self._app(scope, receive, send_in_chunks)
        finally:
            self._lots -= 1
