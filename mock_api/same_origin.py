"""Same-origin checks: other web pages could otherwise keep the API busy, for example with image URLs."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from mock_api.problems import problem_answer

OTHER_HOST = (
    "This server does not respond to this host name: if it is right, start with MOCK_API_ALLOWED_HOSTS={host}"
)
OTHER_ORIGIN = "Request from a page of another origin: the API serves only programs and its own page"

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class SameOrigin:
    """Middleware that refuses, with 403, requests for another host (DNS rebinding) or from a page of another origin.

    Accepted hosts are loopback, the address that the client connected to, and `allowed_hosts`. Links from any page are
    accepted: a GET changes nothing, and the browser withholds the response from the page.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = _LOOPBACK | {host.lower() for host in allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        host = _hostname(headers.get("host", ""))
        if host not in self._hosts and host != scope["server"][0]:
            return await problem_answer(403, OTHER_HOST.format(host=host))(scope, receive, send)
        if _is_from_another_origin(headers):
            return await problem_answer(403, OTHER_ORIGIN)(scope, receive, send)
        return await self._app(scope, receive, send)


def _is_from_another_origin(headers: Headers) -> bool:
    another = headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}
    return another and (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) != (
        "navigate",
        "document",
    )


def _hostname(host: str) -> str:
    """Return a host without port and brackets, or an empty text if it is invalid."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
