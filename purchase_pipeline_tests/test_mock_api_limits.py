"""Excessive requests of a client are refused or cut off, detectably, without affecting other clients."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from urllib.parse import urlsplit

import httpx
import pytest

from mock_api.app import create_app
from mock_api.limits import Limits
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.waiting import wait_until

SECONDS = 2.0  # a busy machine needs some to begin a response
CHUNKED = "Transfer-Encoding: chunked\r\n"


@contextmanager
def an_api(**limits: float) -> Iterator[httpx.Client]:
    app = create_app(defects=0, limits=Limits.model_validate(limits))
    with served(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


@contextmanager
def a_request(
    client: httpx.Client, path: str, headers: str = "", method: str = "GET"
) -> Iterator[socket.socket]:
    """Send a request over a socket with a small receive buffer, without reading the response."""
    address = urlsplit(str(client.base_url))
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect((address.hostname, address.port))
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        yield connection


def all_of(connection: socket.socket) -> tuple[str, bytes]:
    """Read a response until the server closes; return its head and body."""
    head, _, body = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")
    return head.decode().lower(), body


def read_slowly(response: httpx.Response) -> None:
    """Read a response in many times the deadline, if it were complete."""
    for _ in response.iter_raw():
        sleep(0.005)


def assert_problem(response: httpx.Response, status: int, detail: str) -> None:
    assert response.status_code == response.json()["status"] == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert detail in response.json()["detail"]


@contextmanager
def a_lot_nobody_reads(client: httpx.Client) -> Iterator[socket.socket]:
    with a_request(client, "/gerar_compra/1000000") as connection:
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        yield connection


def test_a_body_at_the_limit_is_accepted_and_one_byte_more_is_refused() -> None:
    with an_api(max_body_bytes=1_000) as client:
        for path in ("/gerar_compra/1", "/livez"):
            assert client.request("GET", path, content=b"x" * 1_000).status_code == 200
            assert_problem(client.request("GET", path, content=b"x" * 1_001), 413, "too large")


def test_a_body_without_content_length_is_counted_while_reading() -> None:
    with an_api(max_body_bytes=1_000) as client:
        assert client.request("GET", "/gerar_compra/1", content=iter([b"x" * 500] * 2)).status_code == 200
        assert_problem(
            client.request("GET", "/gerar_compra/1", content=iter([b"x" * 501] * 2)), 413, "too large"
        )


def test_an_endless_body_is_refused_and_the_connection_closed() -> None:
    with an_api() as client, a_request(client, "/gerar_compra/1", CHUNKED) as connection:
        connection.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n1\r\nx\r\n")

        head, body = all_of(connection)

    assert head.startswith("http/1.1 413 ")
    assert "connection: close" in head
    assert json.loads(body)["status"] == 413


def test_a_declared_length_is_refused_before_the_body_is_sent() -> None:
    headers = "Content-Length: 10000000\r\nExpect: 100-continue\r\n"
    with an_api() as client, a_request(client, "/gerar_compra/1", headers) as connection:
        assert all_of(connection)[0].startswith("http/1.1 413 ")


def test_a_missing_body_is_awaited_only_until_the_deadline() -> None:
    with an_api(deadline_seconds=SECONDS) as client, a_request(client, "/livez", CHUNKED) as connection:
        assert connection.recv(12) == b"HTTP/1.1 503"


def test_one_batch_too_many_is_refused_with_retry_after() -> None:
    with an_api(max_lots=2) as client, a_lot_nobody_reads(client), a_lot_nobody_reads(client):
        refused = client.get("/gerar_compra/1")

        assert_problem(refused, 503, "Too many batches")
        assert refused.headers["Retry-After"] == "1"


def test_health_and_documentation_respond_at_the_batch_limit() -> None:
    with an_api(max_lots=1) as client, a_lot_nobody_reads(client):
        for path in ("/livez", "/readyz", "/openapi.json"):
            assert client.get(path).status_code == 200


def test_a_disconnected_client_frees_its_batch() -> None:
    with an_api(max_lots=1) as client:
        with a_lot_nobody_reads(client):
            assert client.get("/gerar_compra/1").status_code == 503

        wait_until(lambda: client.get("/gerar_compra/1").status_code == 200, "an answer", 10)


def test_refused_requests_free_their_batches() -> None:
    with an_api(max_lots=1) as client:
        statuses = [client.get(f"/gerar_compra/{param}").status_code for param in (0, "dez", 1) * 5]

    assert statuses == [422, 422, 200] * 5


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_a_response_cut_at_the_deadline_is_an_error_for_the_client(accept: str) -> None:
    with an_api(deadline_seconds=SECONDS) as client:
        started = monotonic()
        with (
            client.stream("GET", "/gerar_compra/1000000", headers={"Accept": accept}) as response,
            pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"),
        ):
            read_slowly(response)

        assert response.status_code == 200
        assert SECONDS <= monotonic() - started < SECONDS + 10


def test_a_batch_not_ready_by_the_deadline_is_a_503() -> None:
    with an_api(deadline_seconds=0.001) as client:
        refused = client.get("/gerar_compra/10000?defects=1")

    assert_problem(refused, 503, "took too long")
    assert refused.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    "path",
    ["/gerar_compra/10000?defects=1", "/gerar_compra/1000000"],  # 5 MB, and more: the kernel holds up to 4
    ids=["whole", "streamed"],
)
def test_a_client_that_does_not_read_is_disconnected_and_frees_its_batch(path: str) -> None:
    with an_api(deadline_seconds=SECONDS, max_lots=1) as client, a_request(client, path) as idle:
        sleep(SECONDS / 2)
        assert client.get("/gerar_compra/1").status_code == 503
        sleep(SECONDS)
        assert client.get("/gerar_compra/1").status_code == 200

        head, body = all_of(idle)

    assert head.startswith("http/1.1 200 ")
    if declared := re.search(r"content-length: (\d+)", head):
        assert len(body) < int(declared[1])
    else:
        assert not body.endswith(b"\r\n0\r\n\r\n")


def test_the_environment_sets_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_API_MAX_BODY_BYTES", "10")
    monkeypatch.setenv("MOCK_API_MAX_LOTS", "3")
    monkeypatch.setenv("MOCK_API_DEADLINE_SECONDS", "7.5")
    with served(create_app()) as url, httpx.Client(base_url=url) as client:
        refused = client.request("GET", "/livez", content=b"x" * 11)
        description = client.get("/openapi.json").json()["info"]["description"]

    assert refused.status_code == 413
    assert "body: 10 bytes" in description
    assert "Concurrent batches: 3," in description
    assert "7.5 seconds" in description


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_BODY_BYTES", "-1"),
        ("MAX_LOTS", "0"),
        ("MAX_LOTS", "muitos"),
        ("DEADLINE_SECONDS", "0"),
        ("DEADLINE_SECONDS", "nan"),
        ("DEADLINE_SECONDS", "inf"),
    ],
)
def test_an_invalid_limit_is_refused_at_startup(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"MOCK_API_{name}", value)

    with pytest.raises(ValueError, match=name.lower()):
        create_app()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /gerar_compra/1?lote=" + "x" * 60_000, 422),
        ("GET /gerar_compra/1?lote=" + "x" * 70_000, 400),
        ("GET /gerar_compra/" + "1" * 5_000, 422),
        ("GET /" + "x" * 1_000_000, 400),
        ("GET /gerar_compra/1?lote=%00%ff%ed%a0%80", 200),
        ("GET http://[/", 400),
        ("\udcff\x00", 400),
    ],
    ids=["long key", "longer key", "many digits", "long path", "odd key", "no URL", "no HTTP"],
)
def test_malformed_requests_are_never_a_500(request_line: str, status: int) -> None:
    with an_api() as client:
        address = urlsplit(str(client.base_url))
        with socket.create_connection((address.hostname, address.port or 0), timeout=30) as connection:
            connection.sendall(
                f"{request_line} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode("utf-8", "surrogateescape")
            )

            assert connection.recv(12).decode() == f"HTTP/1.1 {status}"


def test_endless_headers_are_refused_with_h11() -> None:
    with served(create_app(defects=0), http="h11") as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port or 0), timeout=30) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 25_000)

            assert connection.recv(12) == b"HTTP/1.1 400"


def test_a_long_chunked_response_is_complete_with_h11() -> None:
    with served(create_app(defects=0), http="h11") as url, httpx.Client(base_url=url) as client:
        whole, streamed = (client.get(f"/gerar_compra/{rows}") for rows in (10_000, 10_001))

    assert (len(whole.json()), len(streamed.json())) == (10_000, 10_001)
