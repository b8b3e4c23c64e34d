"""The HTTP client that a run asks the API with: whose certificates it trusts, and which proxy it goes through."""

import ssl
from ipaddress import ip_address

import httpx

from purchase_pipeline.errors import PipelineError


class ClientSettingsError(PipelineError):
    """The environment names a proxy or a certificate file that cannot be used."""


def api_client(base_url: str, timeout: httpx.Timeout) -> httpx.Client:
    """Return a client for an API; what runs on this machine is never asked through a proxy.

    Raises:
        ClientSettingsError: the environment names a proxy or a certificate file that cannot be used.
    """
    url = httpx.URL(base_url)
    try:
        return httpx.Client(
            base_url=url, timeout=timeout, verify=_trust(url), trust_env=not _is_loopback(url.host)
        )
    except ImportError as error:
        raise ClientSettingsError(
            "ALL_PROXY, HTTP_PROXY or HTTPS_PROXY names a SOCKS proxy. Install 'httpx[socks]', or unset it."
        ) from error
    except (ValueError, httpx.InvalidURL) as error:
        # Quoted is none of it: a proxy's URL often holds a password.
        raise ClientSettingsError(
            "ALL_PROXY, HTTP_PROXY or HTTPS_PROXY is no proxy's URL. It must be like http://proxy.example:3128."
        ) from error
    except OSError as error:
        raise ClientSettingsError(
            f"Cannot read the certificates that SSL_CERT_FILE or SSL_CERT_DIR names ({error.strerror or error})."
        ) from error


def _trust(url: httpx.URL) -> ssl.SSLContext:
    """Return whom TLS is to trust: for a plain `http` address nobody, and a run need not read all authorities."""
    if url.scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.create_ssl_context()


def _is_loopback(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)
