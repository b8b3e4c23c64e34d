"""The Accept header selects the format; a batch of one block is sent whole, a longer one in chunks."""

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import date

import httpx
import pytest

from mock_api.app import create_app
from mock_api.responses import JSON_ARRAY, NDJSON, Format, negotiated_format
from purchase_pipeline_tests.serving import served

AS_LINES = {"Accept": "application/x-ndjson"}


@pytest.fixture(scope="module")
def api() -> Iterator[httpx.Client]:
    with (
        served(create_app(defects=0, today=date(2026, 11, 24))) as base_url,
        httpx.Client(base_url=base_url, timeout=60) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", JSON_ARRAY),
        ("*/*", JSON_ARRAY),
        ("application/json", JSON_ARRAY),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON_ARRAY),
        ("text/csv", JSON_ARRAY),
        ("application/x-ndjson", NDJSON),
        ("Application/X-NDJSON ; Q=0.4", NDJSON),
        ("application/x-ndjson, */*", NDJSON),
        ("application/json, application/x-ndjson", NDJSON),
        ("application/json;q=0.9, application/x-ndjson", NDJSON),
        ("application/json, application/x-ndjson;q=0.9", JSON_ARRAY),
        ("application/*, application/x-ndjson;q=0.9", JSON_ARRAY),
        ("application/json;q=0.1, */*, application/x-ndjson;q=0.5", NDJSON),
        ("application/x-ndjson;q=0", JSON_ARRAY),
        ("application/x-ndjson;q=0, application/json;q=0", JSON_ARRAY),
        ("application/x-ndjson;q=much", NDJSON),
        (";;,,q=", JSON_ARRAY),
    ],
)
def test_the_accept_header_chooses_the_format(accept: str, media: Format) -> None:
    assert negotiated_format(accept) is media


def test_several_accept_headers_count_as_one(api: httpx.Client) -> None:
    headers = [("Accept", "text/csv"), ("Accept", "application/x-ndjson")]

    assert api.get("/gerar_compra/1", headers=headers).headers["Content-Type"] == "application/x-ndjson"


@pytest.mark.parametrize("rows", [1, 3, 10_000, 10_001, 25_000])
def test_lines_and_array_elements_are_the_same_text(api: httpx.Client, rows: int) -> None:
    array = api.get(f"/gerar_compra/{rows}", params={"lote": "a"})
    lines = api.get(f"/gerar_compra/{rows}", params={"lote": "a"}, headers=AS_LINES)

    assert array.headers["Content-Type"] == "application/json"
    assert lines.headers["Content-Type"] == "application/x-ndjson"
    assert lines.content.endswith(b"\n")
    assert array.content == b"[" + b",".join(lines.content.splitlines()) + b"]"
    assert len(json.loads(array.content)) == rows


@pytest.mark.parametrize("headers", [{}, AS_LINES], ids=["array", "lines"])
def test_a_response_of_one_block_has_length_and_digest(api: httpx.Client, headers: dict[str, str]) -> None:
    response = api.get("/gerar_compra/10000", headers=headers)
    digest = base64.b64encode(hashlib.sha256(response.content).digest()).decode()

    assert response.headers["Content-Length"] == str(len(response.content))
    assert response.headers["Content-Digest"] == f"sha-256=:{digest}:"
    assert response.headers["X-Row-Count"] == "10000"
    assert response.headers["Vary"] == "Accept"


@pytest.mark.parametrize("headers", [{}, AS_LINES], ids=["array", "lines"])
def test_a_longer_response_is_streamed_in_chunks(api: httpx.Client, headers: dict[str, str]) -> None:
    response = api.get("/gerar_compra/10001", headers=headers)

    assert response.headers["Transfer-Encoding"] == "chunked"
    assert response.headers["X-Row-Count"] == "10001"
    assert response.headers["Vary"] == "Accept"
    assert not response.headers.keys() & {"content-length", "content-digest"}
