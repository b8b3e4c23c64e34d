"""Errors of the API are explained as `application/problem+json`."""

from collections.abc import Iterator

import httpx
import pytest

from mock_api.app import create_app
from purchase_pipeline_tests.serving import served

AT_LEAST_ONE = "Number of purchases must be at least 1"
AN_INTEGER = "Number of purchases must be an integer"
A_SHARE = "defects must be a number from 0 to 1"
A_KEY = "lote must have 1 to 200 characters"


@pytest.fixture(scope="module")
def api() -> Iterator[httpx.Client]:
    with served(create_app(defects=0)) as base_url, httpx.Client(base_url=base_url) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/gerar_compra/0", 422, AT_LEAST_ONE),
        ("/gerar_compra/-5", 422, AT_LEAST_ONE),
        ("/gerar_compra/1000001", 422, "Number of purchases must be at most 1000000"),
        ("/gerar_compra/dez", 422, AN_INTEGER),
        ("/gerar_compra/1.5", 422, AN_INTEGER),
        ("/gerar_compra/1?defects=-0.1", 422, A_SHARE),
        ("/gerar_compra/1?defects=1.1", 422, A_SHARE),
        ("/gerar_compra/1?defects=nan", 422, A_SHARE),
        ("/gerar_compra/1?defects=muitos", 422, A_SHARE),
        ("/gerar_compra/1?lote=", 422, A_KEY),
        (f"/gerar_compra/1?lote={'x' * 201}", 422, A_KEY),
        ("/gerar_compra/0?defects=2", 422, f"{AT_LEAST_ONE}; {A_SHARE}"),
        ("/comprar", 404, "Unknown route: see /docs"),
        ("/gerar_compra", 404, "Unknown route: see /docs"),
    ],
)
def test_an_error_says_how_to_fix_the_request(api: httpx.Client, path: str, status: int, detail: str) -> None:
    response = api.get(path, headers={"Accept": "application/x-ndjson"})
    problem = response.json()

    assert response.status_code == problem["status"] == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"] == detail


def test_another_method_is_refused_with_an_allow_header(api: httpx.Client) -> None:
    response = api.post("/gerar_compra/1")

    assert response.status_code == response.json()["status"] == 405
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Allow"] == "GET"
