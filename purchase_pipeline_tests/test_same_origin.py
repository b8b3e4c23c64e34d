"""Same-origin protection, by each header that it uses."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from purchase_pipeline.stack.same_origin import SameOriginMiddleware
from purchase_pipeline_tests.serving import served

PROXY = ["dagster.example", "dagster.example:8443"]
FOLLOWED_LINK = {
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    async def hello(_: Request) -> PlainTextResponse:
        return PlainTextResponse("hello", headers={"Content-Security-Policy": "object-src 'none'"})

    async def hello_socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    guard = Middleware(SameOriginMiddleware, allowed_hosts=PROXY)
    routes = [Route("/", hello, methods=["GET", "POST"]), WebSocketRoute("/", hello_socket)]
    with served(Starlette(routes=routes, middleware=[guard]), lifespan="off") as url:
        yield url


def status(server: str, headers: dict[str, str], method: str = "POST") -> int:
    return httpx.request(method, server, headers=headers).status_code


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:9",  # a tunnel or a published port has another number
        "127.0.0.1",
        "[::1]:3000",
        "dagster.example",
        "Dagster.Example:443",
        "dagster.example:8443",
    ],
)
def test_a_program_may_use_each_name_of_the_server(server: str, host: str) -> None:
    assert status(server, {"Host": host}) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:3000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost@evil.example",
        "10.0.0.7",
        "0.0.0.0",  # noqa: S104  (a browser reaches this machine by it)
        "[::ffff:127.0.0.1]",
        "[::1",
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_another_host_is_refused(server: str, host: str, method: str) -> None:
    assert status(server, {"Host": host}, method) == 403


def test_the_refusal_of_a_host_names_the_setting(server: str) -> None:
    refused = httpx.get(server, headers={"Host": "Dagster.intern:80"})

    assert "PURCHASE_ALLOWED_HOSTS=dagster.intern\n" in refused.text
    assert refused.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("address", "host", "expected"),
    [
        (
            "10.0.0.7",
            "10.0.0.7:3000",
            200,
        ),  # `up --host 10.0.0.7`, or 0.0.0.0 where that is one of its addresses
        ("[fd00::7]", "[fd00::7]:3000", 200),
        ("10.0.0.7", "10.0.0.8:3000", 403),
    ],
)
def test_the_address_of_the_connection_is_allowed(address: str, host: str, expected: int) -> None:
    guard = Middleware(SameOriginMiddleware, allowed_hosts=[])
    app = Starlette(routes=[Route("/", PlainTextResponse("hello"))], middleware=[guard])

    async def answered() -> int:
        transport = httpx.ASGITransport(app)  # uses the URL's address as the connection's
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{address}:3000") as client:
            return (await client.get("/", headers={"Host": host})).status_code

    assert asyncio.run(answered()) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:3000", "Origin": "http://localhost:3000"},
        {"Host": "dagster.example", "Origin": "https://dagster.example"},
        {"Host": "dagster.example", "Origin": "https://dagster.example:8443"},  # a proxy that drops the port
        {"Host": "127.0.0.1:9", "Origin": "https://dagster.example", "Sec-Fetch-Site": "same-origin"},
        {"Host": "localhost", "Sec-Fetch-Site": "none"},
    ],
)
def test_the_servers_own_pages_are_allowed(server: str, headers: dict[str, str]) -> None:
    assert status(server, headers) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},  # a sandboxed frame, a file, a page without a referrer
        {"Origin": ""},
        {"Origin": "http://["},
        {"Origin": "http://127.0.0.1:8888", "Host": "127.0.0.1:3000"},  # another program of this machine
        {"Origin": "http://localhost:3000", "Host": "127.0.0.1:3000"},
        {"Origin": "https://dagster.example:9443", "Host": "dagster.example"},
        {"Origin": "http://dagster.example.evil.example", "Host": "dagster.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost", "Host": "localhost"},
        FOLLOWED_LINK,  # a form's POST
    ],
)
def test_a_page_of_another_origin_is_refused(server: str, headers: dict[str, str]) -> None:
    assert status(server, headers) == 403


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (FOLLOWED_LINK, 200),
        ({**FOLLOWED_LINK, "Sec-Fetch-Dest": "iframe"}, 403),
        ({**FOLLOWED_LINK, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        ({**FOLLOWED_LINK, "Host": "evil.example"}, 403),
    ],
)
def test_links_are_allowed_but_not_images_or_frames(
    server: str, headers: dict[str, str], expected: int
) -> None:
    assert status(server, headers, "GET") == expected


def test_no_other_page_may_frame_or_embed_a_response(server: str) -> None:
    answered, refused = httpx.get(server), httpx.get(server, headers={"Host": "evil.example"})

    assert answered.headers.get_list("Content-Security-Policy") == [
        "object-src 'none'",
        "frame-ancestors 'self'",
    ]
    for response in (answered, refused):
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_websockets_of_programs_and_own_pages_are_allowed(server: str) -> None:
    for origin in (None, Origin(server)):
        with connect(server.replace("http", "ws"), origin=origin) as websocket:
            assert websocket.recv() == "hello"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_a_websocket_of_another_page_is_refused(server: str, origin: str) -> None:
    with (
        pytest.raises(InvalidStatus, match="403"),
        connect(server.replace("http", "ws"), origin=Origin(origin)),
    ):
        pass
