"""The mock API, which sends other versions of a lot and spoils responses on demand.

What a spoilt response looks like is written in `api_faults`.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import parse_qsl, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Spoiler: TypeAlias = Callable[[ASGIApp, Scope, Receive, Send], Awaitable[None]]
"""Answers in place of the API, which it may ask first."""


@dataclass(frozen=True)
class Response:
    """A response that is whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def with_body(self, body: bytes, **headers: str) -> "Response":
        """Return the response with another body, and no digest of the old one; a `_` in a header's name is a `-`."""
        added = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in self.headers.items() if name != "content-digest"}
        return replace(self, body=body, headers={**kept, "content-length": str(len(body)), **added})

    async def send(self, send: Send) -> None:
        """Send it."""
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class FaultyApi:
    """An ASGI application around another; requests for lots without a version or a spoiler pass through.

    Attributes:
        defects: rate of invalid rows of the API itself.
        versions: key to request, by the requested lot: another key, other rows.
        spoilers: changes to a lot's next responses, the next one first.
        spoilt: how many responses were spoilt, by lot.
    """

    def __init__(self, app: ASGIApp, defects: float = 0.0, parameter: str = "lote") -> None:
        self._app = app
        self._parameter = parameter
        self.defects = defects
        self.versions: dict[str, str] = {}
        self.spoilers: defaultdict[str, list[Spoiler]] = defaultdict(list)
        self.spoilt: defaultdict[str, int] = defaultdict(int)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond, well or badly."""
        query = dict(parse_qsl(scope.get("query_string", b"").decode()))
        lote = query.get(self._parameter, "")
        if lote in self.versions:
            versioned = urlencode({**query, self._parameter: self.versions[lote]}).encode()
            scope = {**scope, "query_string": versioned}
        if not self.spoilers[lote]:
            await self._app(scope, receive, send)
            return
        self.spoilt[lote] += 1
        await self.spoilers[lote].pop(0)(self._app, scope, receive, send)


def in_place(response: Callable[[], Response]) -> Spoiler:
    """Send this response, whatever is asked."""

    async def spoiler(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await response().send(send)

    return spoiler


def changed(change: Callable[[Response], Response]) -> Spoiler:
    """Send what is made of the API's own response."""

    async def spoiler(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await change(await whole_response(app, scope, receive)).send(send)

    return spoiler


async def whole_response(app: ASGIApp, scope: Scope, receive: Receive) -> Response:
    """Ask the API itself, as the pipeline asked."""
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, keep)
    start, *bodies = messages
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Response(start["status"], headers, b"".join(body.get("body", b"") for body in bodies))
