"""Each feed in the documentation loads rows from a server that sends such data, in Python and in YAML."""

import gzip
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from purchase_pipeline.feeds import Feed
from purchase_pipeline.feeds.component import FeedComponent
from purchase_pipeline.feeds.find import find_feed
from purchase_pipeline.settings import Settings
from purchase_pipeline_tests.changing_source import LoadedFeed
from purchase_pipeline_tests.documents import PROJECT, blocks_of
from purchase_pipeline_tests.serving import served
from purchase_pipeline_tests.three_apis import IssueTracker, exports_api, statistics_api

# Dagster's, for the checks of a time window.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning")

FILES = {
    Path(block.file): block.text
    for page in ("your-own-api.md", "recipes.md")
    for block in blocks_of(PROJECT / "docs" / page)
    if block.file
}
THREE = ("issues", "series", "exports")
"""Modules of feeds that are documented in YAML too, in a file with the feed's name."""
Load = Callable[..., list[tuple[object, ...]]]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_feed_has_at_most_thirty_lines_of_python_or_twenty_five_of_yaml(file: Path) -> None:
    assert len(FILES[file].splitlines()) <= {".py": 30, ".yaml": 25}[file.suffix]


@pytest.fixture
def load(
    database_url: str, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Load]:
    """Loads a partition of a module of the page, and returns the rows without their key."""
    for file, text in FILES.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
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


def in_python(module: str) -> Feed:
    return find_feed(module, None)


def in_yaml(module: str) -> Feed:
    name = {"series": "rates", "exports": "exported_sales"}.get(module, module)
    attributes = yaml.safe_load(FILES[Path(f"{name}.yaml")])["attributes"]
    return FeedComponent.from_attributes_dict(attributes=attributes).feed


@pytest.fixture(params=[in_python, in_yaml], ids=["python", "yaml"])
def loaded(
    request: pytest.FixtureRequest, load: Load, database_url: str, engine: sa.Engine, tmp_path: Path
) -> Iterator[Callable[[str], LoadedFeed]]:
    """Declares one of the three feeds."""
    assert callable(load)  # it has written the files
    settings = Settings(database_url=SecretStr(database_url), landing=str(tmp_path / "landing"))
    with dg.DagsterInstance.ephemeral() as instance:
        yield lambda module: LoadedFeed(request.param(module), settings, engine, instance)


@pytest.mark.parametrize("module", THREE)
def test_a_feed_is_short(module: str) -> None:
    python, yaml = (FILES[Path(f"{name}")] for name in (f"{module}.py", f"{in_yaml(module).name}.yaml"))
    assert len([line for line in python.splitlines() if line]) <= 30
    assert len(yaml.splitlines()) <= 25


def test_issues_are_upserted_since_the_last_load(
    loaded: Callable[[str], LoadedFeed], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = IssueTracker()
    with served(tracker.app, lifespan="off") as url:
        monkeypatch.setenv("TRACKER_URL", url)
        monkeypatch.setenv("TRACKER_TOKEN", "secret")
        feed = loaded("issues")
        feed.load()
        tracker.changed = 20
        feed.load()

    first, second = feed.counts()
    assert first == (1000, 990, 10)
    # The changed ones, the one that ends the first load, and the one whose date is not known again.
    assert second == (26, 20, 6)
    assert feed.stored("count(*), count(*) FILTER (WHERE title LIKE '%%, solved')") == [(990, 19)]
    assert feed.stored("DISTINCT fields, 1", "issues_rejected") == [(["updated_at"], 1), (["user.login"], 1)]
    assert [query["since"] for query in tracker.requests if "since" in query] == ["2026-01-05T20:39:00+00:00"]
    assert len(tracker.requests) == 12  # ten pages, one of them twice, and one
    assert feed.differences() == {}


def test_statistics_are_requested_by_series_and_month(
    loaded: Callable[[str], LoadedFeed], monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(statistics_api, lifespan="off") as url:
        monkeypatch.setenv("STATISTICS_API_URL", url)
        feed = loaded("series")
        feed.load("2021-01-01", "2021-02-01", "2021-03-01")

    assert [one.received for one in feed.batches] == [93, 84, 93]
    assert sum(one.rejected for one in feed.batches) == 3
    assert feed.stored("value, day", "rates WHERE series = '433' AND day = '2021-03-05'") == [
        (Decimal("433005.03"), date(2021, 3, 5))
    ]
    assert feed.differences() == {}


def test_a_file_a_day_is_exported(
    loaded: Callable[[str], LoadedFeed], monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(exports_api(2000), lifespan="off") as url:
        monkeypatch.setenv("EXPORTS_URL", url)
        monkeypatch.setenv("EXPORTS_KEY", "secret")
        feed = loaded("exports")
        feed.load("2026-01-05")

    assert feed.counts() == [(2000, 1980, 20)]
    assert feed.stored("fields[1], count(*)", "exported_sales_rejected GROUP BY 1") == [
        ("código", 5),
        ("peso", 5),
        ("preço", 5),
        (None, 5),  # the whole row
    ]
    assert feed.stored("note, 1", "exported_sales WHERE row_number = 8") == [
        ('São João 7 "x";\nnova linha', 1)
    ]
    assert feed.differences() == {}


def test_a_dlt_resource_is_a_source(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    assert load("tickets", "2026-01-05") == [
        (number, date(2026, 1, 5), f"Ticket {number} of 2026-01-05") for number in range(3)
    ]


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
