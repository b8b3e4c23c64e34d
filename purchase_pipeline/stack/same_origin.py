"""Which requests a server that asks for no login may answer: those of its own pages and of programs.

A browser lets any page send requests anywhere, to this machine too; it withholds only the responses. It says where a
request comes from (`Sec-Fetch-Site`, `Origin`), which no page can forge; programs (curl, GraphQL clients) send neither.
A name that an attacker lets resolve to this machine (DNS rebinding) is seen in `Host`.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_OTHER_HOST = (
    "This server does not answer to the host {name!r}. If that is its own name, or that of a reverse proxy in front of "
    "it, start it with PURCHASE_ALLOWED_HOSTS={name}\n"
)
_OTHER_ORIGIN = (
    "This request was sent by a page of another origin. If that page is the server's own, behind a reverse proxy: let "
    "the proxy pass on the Host header, or start the server with PURCHASE_ALLOWED_HOSTS=(the proxy's host:port)\n"
)


class SameOriginMiddleware:
    """Refuses requests for a host that is not this server, and those that a page of another origin sent.

    The server's own hosts are loopback, the address that a connection was made to, and `allowed_hosts`: names, with a
    port where a reverse proxy is on another than the default one. A link to the server may be on any page.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._allowed = {host.lower() for host in allowed_hosts}
        self._names = _LOOPBACK | {_hostname(host) for host in self._allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or WebSocket handshake, or refuse it."""

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # A second policy: the server's own keeps holding. No other origin may frame or embed a response.
                headers.append("Content-Security-Policy", "frame-ancestors 'self'")
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        if scope["type"] not in {"http", "websocket"}:
            return await self._app(scope, receive, send)
        refusal = self._refusal(scope, Headers(scope=scope))
        app = self._app if refusal is None else PlainTextResponse(refusal, status_code=403)
        return await app(scope, receive, send_protected)

    def _refusal(self, scope: Scope, headers: Headers) -> str | None:
        """Return why a request is refused, and what helps; None where it is not."""
        host = headers.get("host", "").lower()
        name = _hostname(host)
        if name not in self._names and name != _address(scope):
            return _OTHER_HOST.format(name=name)
        if self._is_from_another_origin(headers, host) and not _is_navigation(scope, headers):
            return _OTHER_ORIGIN
        return None

    def _is_from_another_origin(self, headers: Headers, host: str) -> bool:
        """Believe the browser, or compare origins where it does not say: plain HTTP beyond loopback, WebSockets."""
        if site := headers.get("sec-fetch-site"):
            return site not in {"same-origin", "none"}
        origin = headers.get("origin")
        return origin is not None and origin.lower().partition("://")[2] not in {host, *self._allowed}


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    """Tell whether somebody follows a link to a page, in a window of its own: no other page sees the response."""
    wanted = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
    return scope["type"] == "http" and scope["method"] == "GET" and wanted == ("navigate", "document")


def _address(scope: Scope) -> str | None:
    """Return the address of this machine that a connection was made to."""
    server: tuple[str, int | None] | None = scope.get("server")
    return server[0] if server else None


def _hostname(host: str) -> str:
    """Return a host without its port and brackets; nothing where it is no host."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
