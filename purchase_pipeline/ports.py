"""Ports on this machine's loopback."""

import socket

LOOPBACK = "127.0.0.1"


class PortTakenError(Exception):
    """Another program listens where one of ours was to."""


def require_free(port: int, purpose: str, option: str) -> None:
    """Make sure that nobody listens on a port.

    Raises:
        PortTakenError: somebody does; the message names the option that chooses another.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise PortTakenError(
                f"Port {port}, for the {purpose}, is not to be had: {error.strerror}. "
                f"Stop what listens there, or choose another: {option} {port + 1}"
            ) from error
