"""The application over real HTTP: batches, defects, health, long responses."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from threading import Event

import httpx
import orjson
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mock_api.app import create_app
from purchase_pipeline_tests.serving import served

TODAY = date(2026, 11, 24)
AS_LINES = {"Accept": "application/x-ndjson"}


class CountedSends:
    """Wraps an application; counts the chunks that it sends, and records the end of a stream."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.chunks = 0
        self.ended = Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def counted_send(message: Message) -> None:
            self.chunks += message["type"] == "http.response.body"
            await send(message)

        try:
            await self._app(scope, receive, counted_send)
        finally:
            if scope["type"] == "http":
                self.ended.set()


@pytest.fixture(scope="module")
def api() -> Iterator[httpx.Client]:
    with (
        served(create_app(defects=0, today=TODAY)) as base_url,
        httpx.Client(base_url=base_url, timeout=60) as client,
    ):
        yield client


def lines_of(client: httpx.Client, path: str) -> list[bytes]:
    return client.get(path, headers=AS_LINES).raise_for_status().content.splitlines()


def test_the_same_key_returns_the_same_bytes(api: httpx.Client) -> None:
    assert lines_of(api, "/gerar_compra/500?lote=lote-0001") == lines_of(
        api, "/gerar_compra/500?lote=lote-0001"
    )


def test_a_retry_after_midnight_gets_the_same_bytes(api: httpx.Client) -> None:
    with served(create_app(defects=0, today=date(2026, 11, 25))) as url, httpx.Client(base_url=url) as later:
        assert lines_of(later, "/gerar_compra/500?lote=é") == lines_of(api, "/gerar_compra/500?lote=é")


def test_responses_without_a_key_differ_and_end_yesterday(api: httpx.Client) -> None:
    rows = lines_of(api, "/gerar_compra/50000")

    assert max(orjson.loads(row)["date_purchase"] for row in rows) == "2026-11-23"
    assert rows != lines_of(api, "/gerar_compra/50000")


def test_without_a_given_day_the_current_date_is_used() -> None:
    with served(create_app(defects=0)) as base_url:
        row = httpx.get(f"{base_url}/gerar_compra/1").json()[0]

    assert row["date_purchase"] < datetime.now(UTC).date().isoformat()


def test_defects_change_their_fraction_of_rows_and_no_others(api: httpx.Client) -> None:
    good = lines_of(api, "/gerar_compra/12000?lote=a")
    bad = lines_of(api, "/gerar_compra/12000?lote=a&defects=0.05")

    assert sum(before != after for before, after in zip(good, bad, strict=True)) == 600


def test_an_array_of_invalid_rows_is_still_strict_json(api: httpx.Client) -> None:
    response = api.get("/gerar_compra/12000?lote=a&defects=1")

    assert len(orjson.loads(response.content)) == 12_000
    assert response.headers["X-Row-Count"] == "12000"


def test_the_environment_sets_the_default_fraction_and_a_request_overrides_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOCK_API_DEFECTS", "0.5")
    with served(create_app(today=TODAY)) as url, httpx.Client(base_url=url) as client:
        good = lines_of(client, "/gerar_compra/1000?lote=a&defects=0")
        bad = lines_of(client, "/gerar_compra/1000?lote=a")

    assert sum(before != after for before, after in zip(good, bad, strict=True)) == 500


@pytest.mark.parametrize("share", ["muitos", "", "nan", "1.5", "-1"])
def test_an_invalid_default_fraction_is_refused_at_startup(
    monkeypatch: pytest.MonkeyPatch, share: str
) -> None:
    monkeypatch.setenv("MOCK_API_DEFECTS", share)

    with pytest.raises(ValueError, match=r"MOCK_API_DEFECTS .* from 0 to 1"):
        create_app()


def test_a_started_api_is_alive_and_ready(api: httpx.Client) -> None:
    assert api.get("/livez").json() == {"status": "alive"}
    assert api.get("/readyz").json() == {"status": "ready"}


@pytest.mark.parametrize("path", ["/readyz", "/gerar_compra/1"])
def test_an_api_without_vocabularies_is_alive_but_not_ready(path: str) -> None:
    with served(create_app(defects=0), lifespan="off") as url, httpx.Client(base_url=url) as client:
        assert client.get("/livez").status_code == 200

        response = client.get(path)

    assert response.status_code == response.json()["status"] == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Retry-After"] == "1"


def test_a_million_rows_stream_while_the_api_stays_alive(api: httpx.Client) -> None:
    with api.stream("GET", "/gerar_compra/1000000?lote=a", headers=AS_LINES) as response:
        chunks = response.iter_raw()
        rows = next(chunks).count(b"\n")

        assert api.get("/livez").status_code == 200
        assert rows + sum(chunk.count(b"\n") for chunk in chunks) == 1_000_000


def test_a_client_that_leaves_stops_the_generation() -> None:
    app = CountedSends(create_app(defects=0, today=TODAY))
    with served(app, send_buffer=65_536) as url:  # however late the client leaves
        with httpx.stream("GET", f"{url}/gerar_compra/1000000", headers=AS_LINES) as response:
            next(response.iter_raw())

        assert app.ended.wait(timeout=30)

    assert app.chunks < 100
