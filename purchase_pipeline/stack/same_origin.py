"""Same-origin protection for servers without a login: they serve only their own pages and programs.

Any web page can send requests to this machine; the browser only withholds the responses. The browser states the origin
(`Sec-Fetch-Site`, `Origin`), which a page cannot forge; programs (curl, GraphQL clients) send neither. DNS rebinding is
detected by the `Host` header.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_OTHER_HOST = (
    "Host {name!r} is not allowed. If it is the name of this server or of its reverse proxy, start the server with "
    "PURCHASE_ALLOWED_HOSTS={name}\n"
)
_OTHER_ORIGIN = (
    "Cross-origin request refused. Behind a reverse proxy: forward the Host header, or start the server with "
    "PURCHASE_ALLOWED_HOSTS=(the proxy's host:port)\n"
)


class SameOriginMiddleware:
    """Refuses requests with an unknown host, and cross-origin requests of web pages.

    Known hosts are loopback, the address of the connection, and `allowed_hosts` (with a port if the reverse proxy does
    not use the default one). Links to the server from any page work.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._allowed = {host.lower() for host in allowed_hosts}
        self._names = _LOOPBACK | {_hostname(host) for host in self._allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse a request or WebSocket handshake."""

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # In addition to the server's own policy: other origins cannot frame or embed a response.
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
        """Return the reason for refusing a request, or None."""
        host = headers.get("host", "").lower()
        name = _hostname(host)
        if name not in self._names and name != _address(scope):
            return _OTHER_HOST.format(name=name)
        if self._is_from_another_origin(headers, host) and not _is_navigation(scope, headers):
            return _OTHER_ORIGIN
        return None

    def _is_from_another_origin(self, headers: Headers, host: str) -> bool:
        """Use `Sec-Fetch-Site`, or compare origins if it is absent: plain HTTP beyond loopback, WebSockets."""
        if site := headers.get("sec-fetch-site"):
            return site not in {"same-origin", "none"}
        origin = headers.get("origin")
        return origin is not None and origin.lower().partition("://")[2] not in {host, *self._allowed}


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    """Return whether a request is a top-level navigation, whose response no other page can read."""
    mode = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
    return scope["type"] == "http" and scope["method"] == "GET" and mode == ("navigate", "document")


def _address(scope: Scope) -> str | None:
    """Return the local address of the connection."""
    server: tuple[str, int | None] | None = scope.get("server")
    return server[0] if server else None


def _hostname(host: str) -> str:
    """Return a host without port and brackets; '' if it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
