"""The proxy of the drills: what passes, and each way to break a connection, as both ends see it."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer, ThreadingUnixStreamServer
from threading import Event, Thread
from time import monotonic

import psutil
import pytest

from purchase_pipeline_tests.tcp_link import (
    Link,
    Policy,
    Way,
    at_byte,
    at_once,
    slow,
)
from purchase_pipeline_tests.tcp_proxy import TcpProxy, client_process, proxied

LONG = b"0123456789" * 100_000


class Echo:
    """A server that sends back what it gets, and keeps it."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.error: OSError | None = None
        self.ended = Event()

    def serve(self, connection: socket.socket) -> None:
        try:
            while chunk := connection.recv(1 << 16):
                self.got += chunk
                connection.sendall(chunk)
        except OSError as error:
            self.error = error
        self.ended.set()


@contextmanager
def serving(echo: Echo, server_class: type[ThreadingTCPServer] = ThreadingTCPServer) -> Iterator[int]:
    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            echo.serve(self.request)

    with server_class(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def echo() -> Echo:
    """What the server behind the proxy saw."""
    return Echo()


@pytest.fixture
def echo_port(echo: Echo) -> Iterator[int]:
    """A real server."""
    with serving(echo) as port:
        yield port


@contextmanager
def connected(port: int, policy: Policy | None = None) -> Iterator[tuple[TcpProxy, socket.socket]]:
    with proxied(("127.0.0.1", port)) as proxy:
        if policy is not None:
            proxy.policy_for = lambda: policy
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
            yield proxy, client


def send_all_that_goes(client: socket.socket) -> None:
    with suppress(OSError):
        client.sendall(LONG)


def received(client: socket.socket, number: int | None = None) -> bytes:
    got = bytearray()
    while (number is None or len(got) < number) and (chunk := client.recv(1 << 16)):
        got += chunk
    return bytes(got)


def test_bytes_pass_unchanged_and_are_counted_each_way(echo_port: int) -> None:
    with connected(echo_port) as (proxy, client):
        Thread(target=client.sendall, args=(LONG,)).start()
        answer = received(client, len(LONG))

        assert answer == LONG
        assert proxy.links[0].bytes == {Way.UP: len(LONG), Way.DOWN: len(LONG)}


def test_an_end_in_order_passes_too(echo: Echo, echo_port: int) -> None:
    with connected(echo_port) as (_, client):
        client.sendall(b"all")
        client.shutdown(socket.SHUT_WR)

        assert received(client) == b"all"
    assert echo.error is None


def test_a_unix_socket_is_a_server_too(echo: Echo, tmp_path: Path) -> None:
    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            echo.serve(self.request)

    path = tmp_path / "socket"
    with ThreadingUnixStreamServer(str(path), Handler) as server, proxied(path) as proxy:
        thread = Thread(target=server.handle_request)
        thread.start()
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
            client.sendall(b"through")
            assert received(client, 7) == b"through"
        thread.join()


def test_a_cut_comes_after_exactly_so_many_bytes(echo_port: int) -> None:
    with connected(echo_port, at_byte(7, Way.DOWN, Link.cut)) as (proxy, client):
        client.sendall(b"0123456789")

        assert received(client) == b"0123456"
        assert proxy.links[0].struck


def test_a_reset_is_an_error_at_both_ends(echo: Echo, echo_port: int) -> None:
    with connected(echo_port, at_byte(100_001, Way.UP, Link.reset)) as (_, client):
        Thread(target=send_all_that_goes, args=(client,)).start()

        with pytest.raises(ConnectionResetError):
            received(client)
    assert echo.ended.wait(5)
    assert isinstance(echo.error, ConnectionError)
    assert len(echo.got) <= 100_001


def test_a_half_open_connection_takes_everything_and_answers_nothing(echo: Echo, echo_port: int) -> None:
    with connected(echo_port, at_byte(3, Way.UP, Link.swallow)) as (_, client):
        client.sendall(b"012345")
        client.settimeout(0.2)

        with pytest.raises(TimeoutError):
            client.recv(1 << 16)
        client.sendall(LONG)
        assert not echo.ended.is_set()
    assert echo.got == b"012"


def test_a_slow_connection_keeps_its_pace(echo_port: int) -> None:
    with connected(echo_port, slow(Way.UP, bytes_per_second=50_000, delay_seconds=0.1)) as (_, client):
        began = monotonic()
        client.sendall(LONG[:5_000])

        assert received(client, 5_000) == LONG[:5_000]
        assert 0.2 <= monotonic() - began < 2


def test_refused_is_refused_until_it_is_taken_again(echo_port: int) -> None:
    with connected(echo_port) as (proxy, client):
        client.sendall(b"here")
        received(client, 4)
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port))
        client.sendall(b"still")
        assert received(client, 5) == b"still"

        proxy.accept()
        socket.create_connection(("127.0.0.1", proxy.port)).close()


def test_a_function_is_called_at_the_place_and_can_find_who_is_at_the_clients_end(echo_port: int) -> None:
    found = list[psutil.Process]()
    act: Callable[[Link], None] = lambda link: found.append(client_process(link))  # noqa: E731

    with connected(echo_port, at_byte(5, Way.UP, act)) as (_, client):
        client.sendall(b"0123456789")

        assert received(client, 10) == b"0123456789"
    assert found == [psutil.Process()]


def test_a_server_that_is_not_there_shows_as_a_connection_that_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with connected(port) as (_, client):
        assert received(client) == b""


def test_a_policy_may_act_at_the_first_byte(echo: Echo, echo_port: int) -> None:
    with connected(echo_port, at_once(Link.reset)) as (_, client):
        client.sendall(b"anything")

        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert echo.got == b""
