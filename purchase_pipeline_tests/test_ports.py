"""A taken port is found out before anything is started on it."""

import socket

import pytest

from purchase_pipeline.ports import LOOPBACK, PortTakenError, require_free


def test_a_port_that_nobody_listens_on_is_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]

    require_free(port, "mock API", "--api-port")

    with socket.create_server((LOOPBACK, port)):
        pass


@pytest.mark.parametrize("host", [LOOPBACK, "0.0.0.0"])  # noqa: S104  (a neighbour that does listen everywhere)
def test_a_taken_port_is_refused_with_the_option_that_chooses_another(host: str) -> None:
    with socket.create_server((host, 0)) as listener:
        port = listener.getsockname()[1]

        with pytest.raises(PortTakenError) as refused:
            require_free(port, "Dagster UI", "--port")

    assert str(refused.value) == (
        f"Port {port}, for the Dagster UI, is not to be had: Address already in use. "
        f"Stop what listens there, or choose another: --port {port + 1}"
    )


def test_a_port_is_free_at_once_when_a_server_with_clients_has_ended() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address), listener.accept()[0] as served:
            served.shutdown(socket.SHUT_RDWR)  # the server hangs up first: its side waits for a minute

    require_free(address[1], "mock API", "--api-port")
