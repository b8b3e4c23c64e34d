"""Addresses and ports that programs of ours listen on."""

import socket
from ipaddress import IPv6Address, ip_address

from purchase_pipeline.errors import PipelineError

LOOPBACK = "127.0.0.1"


class PortTakenError(PipelineError):
    """A port or address that a program of ours was to listen on is not to be had."""


def is_loopback(host: str) -> bool:
    """Tell whether an IP address reaches no further than this machine."""
    return ip_address(host).is_loopback


def reachable_at(host: str) -> str:
    """Return the address at which this machine reaches what listens on a host: 0.0.0.0 and :: are none to call."""
    address = ip_address(host)
    if not address.is_unspecified:
        return host
    return "::1" if isinstance(address, IPv6Address) else LOOPBACK


def http_url(host: str, port: int) -> str:
    """Return the URL of a program that listens on an IP address."""
    return f"http://[{host}]:{port}" if isinstance(ip_address(host), IPv6Address) else f"http://{host}:{port}"


def _another(port: int) -> int:
    """Return a port that a plain user may take: those below 1024 are root's."""
    return port + 1 if 1023 < port < 65_535 else 8000 + port % 1000  # noqa: PLR2004


def require_free(port: int, purpose: str, option: str, host: str = LOOPBACK) -> None:
    """Make sure that a port of an IP address of this machine is free to listen on.

    Raises:
        PortTakenError: it is not; the message names the option that chooses another.
    """
    family = socket.AF_INET6 if isinstance(ip_address(host), IPv6Address) else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        at = "" if host == LOOPBACK else f" at {host}"
        raise PortTakenError(
            f"Port {port}, for the {purpose}, is not to be had{at}: {error.strerror}. "
            f"Stop what listens there, or choose another: {option} {_another(port)}"
        ) from error
