"""Proxies: never for an API on this machine, otherwise as the environment says."""

from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler

import httpx
import pytest

from purchase_pipeline.ingest.api_client import ClientSettingsError, api_client
from purchase_pipeline.ingest.sources.errors import ApiUnavailableError
from purchase_pipeline_tests.fetching import an_api, listening, raw_answer, request, rows_from, sent_raw

ANSWER = raw_answer(b"1\n2\n")


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@contextmanager
def a_proxy(asked: list[str]) -> Iterator[str]:
    """Serve as a proxy for all hosts, and record the requests."""

    class Proxy(StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline().decode().split()[1])
            while self.rfile.readline().strip():
                pass
            self.wfile.write(ANSWER)

    with listening(Proxy) as url:
        yield url


def fetched(url: str) -> list[bytes]:
    return rows_from(an_api(url), request(2))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST.", "127.0.0.2", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_loopback_requests_bypass_the_proxy(
    host: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()

    with a_proxy(asked) as proxy, sent_raw(ANSWER) as url:
        monkeypatch.setenv(variable, proxy)
        try:
            assert fetched(url.replace("127.0.0.1", host)) == [b"1", b"2"]
        except ApiUnavailableError:
            # The machine may not resolve every name; the proxy does.
            assert host not in {"127.0.0.1", "localhost"}

    assert asked == []


@pytest.mark.parametrize("host", ["api.example", "10.0.0.1", "localhost.example", "128.0.0.1"])
def test_other_requests_use_the_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    with a_proxy(asked) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        assert fetched(f"http://{host}/v1") == [b"1", b"2"]

    assert asked == [f"http://{host}/v1/gerar_compra/2?lote=lote-0001"]


def test_no_proxy_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    with a_proxy(asked) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("NO_PROXY", "api.invalid")
        with pytest.raises(ApiUnavailableError, match="cannot connect to"):
            fetched("http://api.invalid")

    assert asked == []


@pytest.mark.parametrize(
    ("variable", "value", "saw"),
    [
        ("ALL_PROXY", "socks5://ana:segredo@127.0.0.1:9", r"names a SOCKS proxy\. Install 'httpx\[socks\]'"),
        ("HTTPS_PROXY", "ftp://ana:segredo@127.0.0.1:9", r"is not a valid URL\. Expected the form http://"),
        ("HTTP_PROXY", "ana:segredo://", r"is not a valid URL\. Expected the form http://"),
        ("SSL_CERT_FILE", "/segredo.pem", r"in SSL_CERT_FILE or SSL_CERT_DIR \(No such file"),
    ],
)
def test_an_invalid_proxy_or_certificate_is_reported_without_quoting_it(
    variable: str, value: str, saw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ClientSettingsError, match=saw) as failed:
        api_client("https://api.example", httpx.Timeout(5))

    assert "segredo" not in str(failed.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ALL_PROXY", "socks5://127.0.0.1:9"), ("HTTP_PROXY", "ftp://x"), ("SSL_CERT_FILE", "/nowhere.pem")],
)
def test_loopback_requests_ignore_the_environment(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    with sent_raw(ANSWER) as url:
        assert fetched(url) == [b"1", b"2"]
