"""Addresses and ports of the local services."""

import socket
from errno import EADDRINUSE
from ipaddress import IPv6Address, ip_address

from purchase_pipeline import PipelineError

LOOPBACK = "127.0.0.1"


class PortTakenError(PipelineError):
    """A port or address is already in use, or cannot be used."""


def is_loopback(host: str) -> bool:
    """Return whether an IP address is a loopback address."""
    return ip_address(host).is_loopback


def reachable_at(host: str) -> str:
    """Return the address to connect to for a listening host: loopback for 0.0.0.0 and ::."""
    address = ip_address(host)
    if not address.is_unspecified:
        return host
    return "::1" if isinstance(address, IPv6Address) else LOOPBACK


def http_url(host: str, port: int) -> str:
    """Return the URL of a server at an IP address."""
    return f"http://[{host}]:{port}" if isinstance(ip_address(host), IPv6Address) else f"http://{host}:{port}"


def _another(port: int) -> int:
    """Suggest another port, above the privileged ones."""
    return port + 1 if 1023 < port < 65_535 else 8000 + port % 1000  # noqa: PLR2004


def require_free(port: int, purpose: str, option: str, host: str = LOOPBACK) -> None:
    """Check that a port of an IP address is free; `option` is what its user writes before another: `--port `.

    Raises:
        PortTakenError: it is not.
    """
    family = socket.AF_INET6 if isinstance(ip_address(host), IPv6Address) else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        at = "" if host == LOOPBACK else f" at {host}"
        problem = "is already in use" if error.errno == EADDRINUSE else f"cannot be used: {error.strerror}"
        raise PortTakenError(
            f"Port {port} ({purpose}){at} {problem}.",
            hint=f"Stop the process that uses it, or choose another port: {option}{_another(port)}",
        ) from error
