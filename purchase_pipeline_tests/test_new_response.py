"""What is found in a response: format, rows, pages; each by a real server."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from purchase_pipeline.feeds.new.paging import pages_of, with_pages
from purchase_pipeline.feeds.new.response import MOST_BYTES, Found, Received, fetch_first
from purchase_pipeline.feeds.new.shape import Shape, UnknownResponseError, shape_of
from purchase_pipeline.ingest.formats import Csv, Json, NdJson, split_rows
from purchase_pipeline.ingest.row_splitter import UnreadableResponseError
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.ingest.sources.pages import (
    Cursor,
    LinkHeader,
    NextLink,
    NoPages,
    Offset,
    PageNumber,
)
from purchase_pipeline.ingest.sources.request import PartitionRequest
from purchase_pipeline_tests.serving import served

REQUEST = PartitionRequest("")
JSON = "application/json"
NO_NAMES = Csv(delimiter="\t", header=("column_1", "column_2"), encoding="utf-8")
Answer = Callable[[Request], Response]


@contextmanager
def api(answer: Answer) -> Iterator[str]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(Request(scope))(scope, receive, send)

    with served(app, lifespan="off") as url:
        yield url


def received(content: bytes, media_type: str) -> Received:
    with api(lambda _: Response(content, media_type=media_type)) as url:
        return fetch_first(HttpSource(url, path="/rows"), REQUEST)


def shape(content: bytes, media_type: str = JSON, path: str = "") -> Shape:
    return shape_of(received(content, media_type), path, 100)


@pytest.mark.parametrize(
    ("content", "media_type", "row_format", "rows"),
    [
        (b'[{"a": 1}]', JSON, Json(), [{"a": 1}]),
        (b'{"x": {"y": [{"a": 1}]}, "z": []}', JSON, Json(rows="x.y"), [{"a": 1}]),
        (b'{"a": 1}\n{"a": 2}\n', "text/plain", NdJson(), [{"a": 1}, {"a": 2}]),
        (b'{"a": 1}\n', "application/x-ndjson", NdJson(), [{"a": 1}]),
        (b'{"a": 1}\nbroken\n', "application/x-ndjson", NdJson(), [{"a": 1}]),
        (b"a,b\n1,x\n", "text/csv", Csv(encoding="utf-8"), [{"a": "1", "b": "x"}]),
        ("a|é\n1|x\n".encode(), "text/plain", Csv(delimiter="|", encoding="utf-8"), [{"a": "1", "é": "x"}]),
        ("a;é\n1;x\n".encode("latin-1"), "text/csv", Csv(delimiter=";", encoding="latin-1"), [{"a": "1", "é": "x"}]),
        ("a\né\n".encode("latin-1"), "text/csv;charset=latin-1", Csv(encoding="latin-1"), [{"a": "é"}]),
        ("a\n€\n".encode("cp1252"), "text/csv", Csv(encoding="cp1252"), [{"a": "€"}]),
        ("a;b\n1;é\n".encode("utf-16"), "text/csv", Csv(delimiter=";", encoding="utf-16"), [{"a": "1", "b": "é"}]),
        (b'a;b\n1;"x,y,\nz"\n', "text/csv", Csv(delimiter=";", encoding="utf-8"), [{"a": "1", "b": "x,y,\nz"}]),
        (b"1\t2.5\n", "text/csv", NO_NAMES, [{"column_1": "1", "column_2": "2.5"}]),
        (b"a,b\n1,2\n1\n", "text/csv", Csv(encoding="utf-8"), [{"a": "1", "b": "2"}]),
    ],
)  # fmt: skip
def test_formats_and_rows(
    content: bytes, media_type: str, row_format: object, rows: list[dict[str, Any]]
) -> None:
    found = shape(content, media_type)

    assert found.row_format == row_format
    assert list(found.rows) == rows
    (sample,) = [list(split_rows(found.row_format, [found.sample()]))]
    assert len(sample) == len(rows)


@pytest.mark.parametrize(
    ("content", "media_type", "message"),
    [
        (b"[]", JSON, "The response has no rows"),
        (b"", "text/csv", "The response has no rows"),
        (b"a,b\n", "text/csv", "The response has no rows"),
        (b"3", JSON, "The response has no rows"),
        (b"[[1, 2]]", JSON, r"The rows are not JSON objects in UTF-8: \[1, 2\]"),
        (b'{"a.b": [{"c": 1}]}', JSON, "no array of objects. Its members: a.b"),
        (b'{"a": 1, "b": []}', JSON, "no array of objects. Its members: a, b"),
        (b"<a/>", "application/xml", "XML or HTML"),
        (b'{"a": [{}]', JSON, "not valid JSON"),
    ],
)
def test_a_response_without_rows_is_refused(content: bytes, media_type: str, message: str) -> None:
    with pytest.raises(UnknownResponseError, match=message):
        shape(content, media_type)


def test_a_truncated_array_is_refused() -> None:
    with pytest.raises(UnreadableResponseError, match="malformed or truncated"):
        shape(b'[{"a": 1}, {"a":')


def test_the_longest_array_is_taken_unless_another_one_is_named() -> None:
    content = json.dumps({"few": [{"a": 1}], "many": [{"b": 1}, {"b": 2}]}).encode()

    assert shape(content).where == Found("many", "likely", "the longest array of objects; or --rows few (1)")
    assert list(shape(content, path="few").rows) == [{"a": 1}]


def test_a_long_response_is_read_only_so_far() -> None:
    line = b'{"a": 1}\n'

    long = received(line * (2 * MOST_BYTES // len(line)), "application/x-ndjson")
    found = shape_of(long, "", 10)

    assert MOST_BYTES < len(long.content) < 1.1 * MOST_BYTES
    assert (long.is_whole, len(found.rows)) == (False, 10)


def items(numbers: range) -> list[dict[str, int]]:
    return [{"n": number} for number in numbers]


def page_at(first: int, size: int = 7, total: int = 16) -> range:
    return range(first, min(first + size, total))


def by_link(request: Request) -> Response:
    first = int(request.query_params.get("from", 0))
    link = {"Link": f'</rows?from={first + 7}>; rel="next"'} if first + 7 < 16 else None
    return JSONResponse(items(page_at(first)), headers=link)


def by_next(request: Request) -> Response:
    first = int(request.query_params.get("from", 0))
    after = f"http://{request.url.netloc}/rows?from={first + 7}" if first + 7 < 16 else None
    return JSONResponse({"value": items(page_at(first)), "@odata.nextLink": after})


def by_cursor(request: Request) -> Response:
    first = int(request.query_params.get("pageToken", "c0")[1:])
    return JSONResponse(
        {"items": items(page_at(first)), "nextPageToken": f"c{first + 7}" if first + 7 < 16 else ""}
    )


def by_number(request: Request) -> Response:
    number = int(request.query_params.get("page", 0))
    return JSONResponse(
        {"data": items(page_at(7 * number)), "meta": {"current_page": number, "hasMore": number < 2}}
    )


def by_offset(request: Request) -> Response:
    first = int(request.query_params.get("skip", 0))
    rows = items(page_at(first, int(request.query_params.get("limit", 7))))
    return JSONResponse({"rows": rows, "skip": first, "limit": 7, "total": 16})


def by_number_of_a_csv(request: Request) -> Response:
    numbers = page_at(7 * (int(request.query_params["p"]) - 1))
    return Response("\n".join(["n", *map(str, numbers), ""]), media_type="text/csv")


def by_a_full_page(request: Request) -> Response:
    return JSONResponse(items(page_at(10 * (int(request.query_params.get("page", 1)) - 1), 10)))


PAGED: list[tuple[Answer, dict[str, str], object]] = [
    (by_link, {}, LinkHeader()),
    (by_next, {}, NextLink("@odata.nextLink")),
    (by_cursor, {}, Cursor("pageToken", "nextPageToken")),
    (by_number, {}, PageNumber("page", 0, has_more="meta.hasMore")),
    (by_offset, {}, Offset("skip", "limit", 7)),
    (by_number_of_a_csv, {"p": "1"}, PageNumber("p")),
    (by_a_full_page, {}, PageNumber("page")),
]


def paged(answer: Answer, params: dict[str, str]) -> tuple[Found, int]:
    """How the pages of an API continue, and how many rows a source then receives."""
    with api(answer) as url:
        source = HttpSource(url, path="/rows", params=params)
        first = fetch_first(source, REQUEST)
        found = shape_of(first, "", 100)
        source = HttpSource(url, path="/rows", params=params, format=found.row_format)
        pages = pages_of(first, found, source, REQUEST)
        rows = 0

        def count(page: Any) -> Any:  # noqa: ANN401
            nonlocal rows
            from purchase_pipeline_tests.fetching import Received as Pages  # noqa: PLC0415

            landed = Pages().add(page)
            rows += landed.rows
            return landed

        with_pages(source, pages.what).fetch(REQUEST, count)  # type: ignore[arg-type]
        return pages, rows


@pytest.mark.parametrize(
    ("answer", "params", "expected"), PAGED, ids=lambda value: getattr(value, "__name__", "")
)
def test_pages_are_found_and_lead_to_all_rows(
    answer: Answer, params: dict[str, str], expected: object
) -> None:
    pages, rows = paged(answer, params)

    assert (pages.what, pages.sure) == (expected, "sure")
    assert rows == 16


def ignoring(_: Request) -> Response:
    return JSONResponse(items(range(10)))


def the_last(_: Request) -> Response:
    return JSONResponse({"items": items(range(3)), "next": None})


def unpaged(_: Request) -> Response:
    return JSONResponse(items(range(3)))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            ignoring,
            Found(NoPages(), "guess", "10 rows may be a full page, but a second page was not confirmed"),
        ),
        (the_last, Found(NextLink("next"), "guess", "next is empty; this response is the last page")),
        (unpaged, Found(NoPages(), "likely", "no sign of more pages")),
    ],
)
def test_pages_that_cannot_be_tried_are_a_guess(answer: Answer, expected: Found) -> None:
    assert paged(answer, {})[0] == expected
