"""A webhook that keeps what is posted to it."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Webhook:
    """The receiving side, as an ASGI application; `status` is what it returns."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one message."""
        body = await Request(scope, receive).json()
        if self.status == 200:
            self.bodies.append(body)
        await Response(status_code=self.status)(scope, receive, send)
