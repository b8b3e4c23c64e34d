"""Responses match the OpenAPI documentation."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import orjson
import pytest
from pydantic import TypeAdapter

from mock_api.app import create_app
from mock_api.documentation import Compra
from mock_api.problems import Problem
from purchase_pipeline_tests.serving import served


@pytest.fixture(scope="module")
def api() -> Iterator[httpx.Client]:
    with (
        served(create_app(defects=0, today=date(2026, 11, 24))) as base_url,
        httpx.Client(base_url=base_url) as client,
    ):
        yield client


@pytest.fixture
def documented(api: httpx.Client) -> dict[str, Any]:
    responses: dict[str, Any] = api.get("/openapi.json").json()["paths"]["/gerar_compra/{param}"]["get"][
        "responses"
    ]
    return responses


@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson"])
def test_the_documented_formats_headers_and_fields_are_sent(
    api: httpx.Client, documented: dict[str, Any], media_type: str
) -> None:
    response = api.get("/gerar_compra/100", headers={"Accept": media_type})
    example = documented["200"]["content"][media_type]["example"]
    first = orjson.loads(response.content.splitlines()[0])

    assert response.headers["Content-Type"] == media_type
    assert documented["200"]["headers"].keys() <= {name.title() for name in response.headers}
    if media_type == "application/json":
        assert list(example[0]) == list(first[0]) == list(Compra.model_fields)
    else:
        assert list(orjson.loads(example)) == list(first) == list(Compra.model_fields)


def test_rows_and_examples_match_the_schema(api: httpx.Client, documented: dict[str, Any]) -> None:
    purchases = TypeAdapter(list[Compra])
    examples = documented["200"]["content"]

    assert len(purchases.validate_json(api.get("/gerar_compra/2000").content, strict=True)) == 2_000
    purchases.validate_json(orjson.dumps(examples["application/json"]["example"]), strict=True)
    Compra.model_validate_json(examples["application/x-ndjson"]["example"], strict=True)


def test_the_documented_problems_are_sent(api: httpx.Client, documented: dict[str, Any]) -> None:
    content = documented["422"]["content"]["application/problem+json"]
    sent = [api.get(f"/gerar_compra/{param}").json() for param in (0, 1_000_001)]

    assert [example["value"] for example in content["examples"].values()] == sent
    assert content["schema"] == Problem.model_json_schema()
    assert documented.keys() == {"200", "413", "422", "503"}
