"""Whom the API answers: programs and its own pages. Any other page could keep it busy with a picture's address."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from mock_api.problems import problem_answer

OTHER_HOST = (
    "Este servidor não atende por esse nome: se for o nome dele, inicie-o com MOCK_API_ALLOWED_HOSTS={host}"
)
OTHER_ORIGIN = "Pedido de uma página de outra origem: a API atende programas e as suas próprias páginas"

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class SameOrigin:
    """Refuses with 403 what names another host (DNS rebinding), or was sent by a page of another origin.

    The server's hosts are loopback, the address that a connection was made to, and `allowed_hosts`. Pages learn nothing
    by GET, as a browser withholds what it answers, and nothing here changes by one; so a link to it may be on any page.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = _LOOPBACK | {host.lower() for host in allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
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
    """Return a host without its port and brackets; nothing where it is no host."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
