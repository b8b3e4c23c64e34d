"""The HTTP client for an API: its certificates and its proxy."""

import os
import ssl
from functools import lru_cache
from ipaddress import ip_address

import httpx

from purchase_pipeline import PipelineError


class ClientSettingsError(PipelineError):
    """The environment names a proxy or a certificate file that cannot be used."""


def api_client(base_url: str, timeout: httpx.Timeout) -> httpx.Client:
    """Return a client for an API. Requests to loopback addresses never use a proxy.

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
            "ALL_PROXY, HTTP_PROXY or HTTPS_PROXY names a SOCKS proxy.",
            hint="Install 'httpx[socks]', or unset the variable.",
        ) from error
    except (ValueError, httpx.InvalidURL) as error:
        # Do not quote the value: a proxy's URL often holds a password.
        raise ClientSettingsError(
            "ALL_PROXY, HTTP_PROXY or HTTPS_PROXY is not a valid URL.",
            hint="Expected the form http://proxy.example:3128.",
        ) from error
    except OSError as error:
        raise ClientSettingsError(
            f"Cannot read the certificates in SSL_CERT_FILE or SSL_CERT_DIR ({error.strerror or error})."
        ) from error


def _trust(url: httpx.URL) -> ssl.SSLContext:
    """Return the TLS context; skip loading certificate authorities for http:// URLs."""
    if url.scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _authorities(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=4)
def _authorities(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Load the certificate authorities, which takes 25 ms, once for the clients of all partitions."""
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
