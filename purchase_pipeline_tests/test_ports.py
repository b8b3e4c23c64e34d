"""Ports in use are detected before a service is started."""

import socket

import pytest

from purchase_pipeline.stack.ports import (
    LOOPBACK,
    PortTakenError,
    http_url,
    is_loopback,
    reachable_at,
    require_free,
)


def test_an_unused_port_is_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]

    require_free(port, "mock API", "--api-port ")

    with socket.create_server((LOOPBACK, port)):
        pass


@pytest.mark.parametrize("host", [LOOPBACK, "0.0.0.0"])  # noqa: S104  (a neighbour that does listen everywhere)
def test_a_port_in_use_is_refused_with_the_option_to_change_it(host: str) -> None:
    with socket.create_server((host, 0)) as listener:
        port = listener.getsockname()[1]

        with pytest.raises(PortTakenError) as refused:
            require_free(port, "Dagster UI", "--port ")

    assert str(refused.value) == (
        f"Port {port} (Dagster UI) is already in use. "
        f"Stop the process that uses it, or choose another port: --port {port + 1}"
    )


def test_a_port_is_free_as_soon_as_its_server_has_ended() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address), listener.accept()[0] as served:
            served.shutdown(socket.SHUT_RDWR)  # the server hangs up first: its side waits for a minute

    require_free(address[1], "mock API", "--api-port ")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(
        PortTakenError, match=r"at 203\.0\.113\.7 cannot be used: Cannot assign requested address"
    ):
        require_free(8000, "mock API", "--api-port ", "203.0.113.7")


@pytest.mark.parametrize(
    ("host", "loopback", "reachable", "url"),
    [
        ("127.0.0.1", True, "127.0.0.1", "http://127.0.0.1:80"),
        ("127.0.0.2", True, "127.0.0.2", "http://127.0.0.2:80"),
        ("::1", True, "::1", "http://[::1]:80"),
        ("0.0.0.0", False, "127.0.0.1", "http://0.0.0.0:80"),  # noqa: S104  (what a person may ask for)
        ("::", False, "::1", "http://[::]:80"),
        ("192.0.2.1", False, "192.0.2.1", "http://192.0.2.1:80"),
    ],
)
def test_loopback_and_unspecified_addresses(host: str, *, loopback: bool, reachable: str, url: str) -> None:
    assert (is_loopback(host), reachable_at(host), http_url(host, 80)) == (loopback, reachable, url)
