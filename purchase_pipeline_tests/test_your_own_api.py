"""Each feed on the page about your own API loads rows from a server that sends such data."""

import gzip
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from purchase_pipeline.feeds.find import find_feed
from purchase_pipeline.settings import Settings
from purchase_pipeline_tests.documents import PROJECT, blocks_of
from purchase_pipeline_tests.serving import served

pytestmark = [
    pytest.mark.compatibility,
    # Dagster's, for the checks of a time window.
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning"),
]

FILES = {
    Path(block.file): block.text
    for block in blocks_of(PROJECT / "docs" / "your-own-api.md")
    if block.language == "python"
}
Load = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def load(
    database_url: str, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Load]:
    """Loads a partition of a module of the page, and returns the rows without their key."""
    for file, text in FILES.items():
        (tmp_path / file).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    settings = Settings(database_url=SecretStr(database_url), landing=str(tmp_path / "landing"))

    def load(module: str, partition: str | None = None) -> list[tuple[object, ...]]:
        feed = find_feed(module, None)
        job = feed.definitions(settings).resolve_job_def(feed.job)
        assert job.execute_in_process(partition_key=partition).success
        with engine.connect() as connection:
            return [tuple(row[2:]) for row in connection.execute(sa.select(feed.tables.accepted))]

    yield load
    for file in FILES:
        sys.modules.pop(file.stem, None)


def answering(respond: Callable[[Request], Response]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(Request(scope))(scope, receive, send)

    return app


def test_loans_are_nested_paged_and_need_a_token(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    first = {
        "id": 7,
        "book": {"isbn": "978-0", "title": "Emma"},
        "lent_at": "2026-01-05T09:00:00Z",
        "due": "2026-01-19",
        "fee": 1.5,
    }
    second = {**first, "id": 8, "fee": None, "undeclared": True}

    def loans(request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer secret"
        assert request.query_params["date"] == "2026-01-05"
        if "page" in request.query_params:
            return JSONResponse({"results": [second], "links": {}})
        return JSONResponse({"results": [first], "links": {"next": "/loans?date=2026-01-05&page=2"}})

    with served(answering(loans), lifespan="off") as url:
        monkeypatch.setenv("LIBRARY_API_URL", url)
        monkeypatch.setenv("LIBRARY_TOKEN", "secret")
        rows = load("loans", "2026-01-05")

    same = ("978-0", "Emma", datetime(2026, 1, 5, 9, tzinfo=UTC), date(2026, 1, 19))
    assert rows == [(7, *same, Decimal("1.50")), (8, *same, None)]


def test_a_month_of_each_series_is_requested(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def series(request: Request) -> Response:
        asked.append(f"{request.url.path} {request.query_params['from']} {request.query_params['to']}")
        return JSONResponse([{"data": "05/01/2026", "valor": "1.006,18"}])

    with served(answering(series), lifespan="off") as url:
        monkeypatch.setenv("STATISTICS_API_URL", url)
        rows = load("series", "2026-01-01")

    assert asked == [f"/series/{number} 01/01/2026 31/01/2026" for number in (1, 433, 4189)]
    assert rows == [(number, date(2026, 1, 5), Decimal("1006.18")) for number in ("1", "433", "4189")]


def test_a_gzip_csv_file_is_read_by_its_header(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"peso;código;observação;preço\n0.5;{UUID(int=1)};São João;1,50\n;{UUID(int=2)};;2.000,00\n"

    def file(request: Request) -> Response:
        assert (request.url.path, request.headers["x-api-key"]) == ("/2026/2026-01-05.csv.gz", "secret")
        return Response(gzip.compress(text.encode("latin-1")), media_type="application/gzip")

    with served(answering(file), lifespan="off") as url:
        monkeypatch.setenv("EXPORTS_URL", url)
        monkeypatch.setenv("EXPORTS_KEY", "secret")
        rows = load("exports", "2026-01-05")

    assert rows == [
        (UUID(int=1), Decimal("1.50"), 0.5, "São João"),
        (UUID(int=2), Decimal("2000.00"), None, None),
    ]


def test_a_function_reads_a_day_of_a_file(load: Load, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "visits.db")) as archive:
        archive.execute("CREATE TABLE visits (day, page, visitors)")
        archive.execute("INSERT INTO visits VALUES ('2026-01-05', '/', 7), ('2026-01-06', '/', 8)")
        archive.commit()

    assert load("archive", "2026-01-05") == [("/", 7)]


def test_a_source_without_partitions_is_requested_whole_each_time(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [{"code": "BR", "name": "Brasil"}]

    with served(answering(lambda _: JSONResponse(known)), lifespan="off") as url:
        monkeypatch.setenv("COUNTRIES_API_URL", url)
        assert load("countries") == [("BR", "Brasil")]
        known[:] = [{"code": "PT", "name": "Portugal"}]
        assert load("countries") == [("PT", "Portugal")]
