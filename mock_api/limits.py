"""What one client may ask of the API without harming the others: bytes sent, lots at once, seconds.

How many rows a lot may have is the route's own limit. URLs and headers are bounded where they are parsed, by uvicorn:
a URL above 65,535 bytes is answered 400; headers are bounded (somewhat above 64 KiB, else 400) only with `--http h11`.
"""

import asyncio

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mock_api.problems import problem_answer

PIECE_BYTES = 65_536
"""How much of an answer is handed on at a time: about what a client that does not read makes the server hold."""

TOO_LARGE = "Corpo da requisição grande demais: um GET não precisa de corpo"
TOO_MANY_LOTS = "Lotes demais ao mesmo tempo: tente de novo em instantes"
TOO_SLOW = "O pedido demorou demais e foi interrompido: peça menos compras, ou tente de novo"

_LATER = {"Retry-After": "1"}


class Limits(BaseSettings):
    """The bounds on a request. What is not given comes from the environment: `MOCK_API_MAX_LOTS=4`.

    Raises:
        ValueError: a bound is no number, or out of its range.
    """

    model_config = SettingsConfigDict(env_prefix="MOCK_API_", frozen=True)

    max_body_bytes: int = Field(default=16_384, ge=0)
    max_lots: int = Field(default=16, ge=1)
    deadline_seconds: float = Field(default=300.0, gt=0, allow_inf_nan=False)


class BoundedTime:
    """Breaks off a request that is not answered to its end in time, whoever is slow: the client or the lot.

    Before the headers went out the answer is a 503. After, the connection is closed with the answer unfinished,
    which every HTTP client tells from a whole one. A block in the making is finished first (some 0.1 s).
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begun = False

        async def noted_send(message: Message) -> None:
            nonlocal begun
            await send(message)
            begun = True

        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._app(scope, receive, noted_send)
        except TimeoutError:
            if not begun:
                await problem_answer(503, TOO_SLOW, _LATER)(scope, receive, send)


class BoundedBody:
    """Reads a request's body before anyone else, and refuses with 413 the one that is too long.

    Starlette's own limit counts what a handler reads, and no handler here reads a body: one sent in chunks
    without a length would pass.
    """

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
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
        # Closed after it: the client could go on sending for ever.
        await problem_answer(413, TOO_LARGE, {"Connection": "close"})(scope, receive, send)


def _declared_bytes(scope: Scope) -> int:
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


class BoundedLots:
    """Makes so many lots at once and no more: one beyond is refused with 503. Other paths always pass.

    Long answers are handed on in pieces, each waiting for the client to have read most of those before: so a lot
    counts until its client has it, and one who does not read costs a piece of memory, not a lot.
    """

    def __init__(self, app: ASGIApp, path: str, most_lots: int) -> None:
        self._app = app
        self._path = path
        self._most_lots = most_lots
        self._lots = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_in_pieces(message: Message) -> None:
            rest = memoryview(message.get("body", b""))
            while len(rest) > PIECE_BYTES:
                piece, rest = rest[:PIECE_BYTES], rest[PIECE_BYTES:]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                message = {**message, "body": rest}
            await send(message)

        if scope["type"] != "http" or not scope["path"].startswith(self._path):
            return await self._app(scope, receive, send)
        if self._lots >= self._most_lots:
            return await problem_answer(503, TOO_MANY_LOTS, _LATER)(scope, receive, send)
        self._lots += 1
        try:
            return await self._app(scope, receive, send_in_pieces)
        finally:
            self._lots -= 1
