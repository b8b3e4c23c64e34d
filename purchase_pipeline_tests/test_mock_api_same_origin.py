"""The API accepts programs and its own pages, under its own names, but no pages of another origin."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from mock_api.app import create_app
from purchase_pipeline_tests.serving import served

FOLLOWED_LINK = {
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    with served(create_app(defects=0, allowed_hosts=["api"])) as url:
        yield f"{url}/gerar_compra/1"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost:8000"},
        {"Host": "[::1]:8000"},
        {"Host": "API:8000"},
        {"Sec-Fetch-Site": "same-origin"},  # the page /docs
        {"Sec-Fetch-Site": "none"},
        FOLLOWED_LINK,
    ],
)
def test_programs_own_pages_and_followed_links_are_accepted(api: str, headers: dict[str, str]) -> None:
    assert len(httpx.get(api, headers=headers).json()) == 1


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({"Host": "evil.example"}, "MOCK_API_ALLOWED_HOSTS=evil.example"),
        ({"Host": "127.0.0.1.evil.example:8000"}, "MOCK_API_ALLOWED_HOSTS=127.0.0.1.evil.example"),
        ({"Host": "10.0.0.7"}, "MOCK_API_ALLOWED_HOSTS=10.0.0.7"),
        ({"Host": "[::1"}, "does not respond to this host name"),
        ({"Sec-Fetch-Site": "cross-site"}, "another origin"),
        ({"Sec-Fetch-Site": "same-site"}, "another origin"),
        ({**FOLLOWED_LINK, "Sec-Fetch-Dest": "iframe"}, "another origin"),
    ],
)
def test_another_host_or_a_page_of_another_origin_is_refused_with_a_problem(
    api: str, headers: dict[str, str], detail: str
) -> None:
    response = httpx.get(api, headers=headers)

    assert (response.status_code, response.headers["Content-Type"]) == (403, "application/problem+json")
    assert detail in response.json()["detail"]


@pytest.mark.parametrize("address", ["10.0.0.7", "[fd00::7]"])
def test_the_address_of_the_connection_is_accepted(address: str) -> None:
    async def answered() -> int:
        transport = httpx.ASGITransport(create_app(defects=0))  # passes the URL's address as the connection's
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{address}:8000") as client:
            return (await client.get("/livez")).status_code

    assert asyncio.run(answered()) == 200


def test_the_environment_sets_the_allowed_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_API_ALLOWED_HOSTS", "api, compras.example")

    with served(create_app(defects=0)) as url:
        for host, status in (("api:8000", 200), ("compras.example", 200), ("api.example", 403)):
            assert httpx.get(f"{url}/livez", headers={"Host": host}).status_code == status
