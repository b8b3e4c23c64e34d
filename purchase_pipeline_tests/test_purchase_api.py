"""The API client against real HTTP servers, good and faulty."""

import asyncio
import base64
import hashlib
import json
import logging
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from socketserver import StreamRequestHandler
from time import monotonic, sleep, time

import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from mock_api.app import create_app
from purchase_pipeline.ingest.formats import JSON_ARRAY, NDJSON
from purchase_pipeline.ingest.landing.manifest import LandedPage
from purchase_pipeline.ingest.landing.store import landing_at
from purchase_pipeline.ingest.printable import printable
from purchase_pipeline.ingest.response_body import CompleteRows
from purchase_pipeline.ingest.sources.errors import (
    ApiRefusedError,
    ApiUnavailableError,
    IncompleteResponseError,
    raise_for_status,
)
from purchase_pipeline.ingest.sources.request import Page
from purchase_pipeline_tests.builders import a_compra
from purchase_pipeline_tests.fetching import (
    an_api,
    fetched,
    listening,
    raw_answer,
    request,
    rows_from,
    sent_raw,
)
from purchase_pipeline_tests.hostile import ACCEPTED
from purchase_pipeline_tests.serving import served


class Script:
    """An application with scripted responses, the last one repeated, that records its requests."""

    def __init__(self, *answers: Response | Callable[[], Response]) -> None:
        self._answers = answers
        self.asked: list[str] = []
        self.accepts: list[tuple[str, str]] = []
        self.asked_at: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the next response."""
        answer = self._answers[min(len(self.asked), len(self._answers) - 1)]
        self.asked.append(f"{scope['path']}?{scope['query_string'].decode()}")
        headers = dict(scope["headers"])
        self.accepts.append((headers[b"accept"].decode(), headers[b"accept-encoding"].decode()))
        self.asked_at.append(time())
        response = answer if isinstance(answer, Response) else answer()
        await response(scope, receive, send)


def lines(rows: int) -> Response:
    return Response(b'{"a":1}\n' * rows, media_type=NDJSON.media_type)


def drops(chunks: int, seconds_between: float) -> Response:
    async def dropping() -> AsyncIterator[bytes]:
        for _ in range(chunks):
            yield b'{"a":1}\n'
            await asyncio.sleep(seconds_between)

    return StreamingResponse(dropping(), media_type=NDJSON.media_type)


@pytest.mark.parametrize("rows", [1, 10_000, 12_345])
def test_a_batch_of_the_mock_api_is_landed_unchanged(rows: int, tmp_path: Path) -> None:
    landing = landing_at(str(tmp_path))

    with served(create_app(defects=0)) as url:
        landed = landing.land("lote-0001", partial(an_api(url).fetch, request(rows)))
        sent = httpx.get(
            f"{url}/gerar_compra/{rows}",
            params={"lote": "lote-0001"},
            headers={"Accept": NDJSON.media_type},
        )

    assert landed.media_type == NDJSON.media_type
    assert landed.rows == sent.content.count(b"\n") == rows
    assert landed.digest == f"sha256:{hashlib.sha256(sent.content).hexdigest()}"
    with landing.open_rows(landed) as raw_rows:
        assert list(raw_rows) == sent.content.splitlines()


def test_a_batch_of_invalid_rows_is_complete() -> None:
    with served(create_app(defects=1)) as url:
        assert len(fetched(url, 2_000)) == 2_000


def test_a_compressed_response_is_complete() -> None:
    app = create_app(defects=0)
    app.add_middleware(GZipMiddleware, minimum_size=1)

    with served(app) as url:
        with httpx.stream("GET", f"{url}/gerar_compra/500") as response:
            assert response.headers["content-encoding"] == "gzip"
        assert len(fetched(url, 500)) == 500


def test_a_server_of_plain_json_arrays_works() -> None:
    app = FastAPI()

    @app.get("/gerar_compra/{param}")
    def gerar_compra(param: int) -> list[dict[str, object]]:
        return [a_compra(store=number) for number in range(1, param + 1)]

    with served(app) as url:
        rows = fetched(url, 1_000)

    assert [json.loads(row) for row in rows] == [a_compra(store=number) for number in range(1, 1_001)]


def test_the_request_names_the_batch_and_prefers_ndjson() -> None:
    app = Script(lines(3))

    with served(app, lifespan="off") as url:
        assert fetched(url, 3) == [b'{"a":1}'] * 3

    assert app.asked == ["/gerar_compra/3?lote=lote-0001"]
    assert app.accepts == [("application/x-ndjson, application/json;q=0.9", "gzip, deflate, zstd")]


@pytest.mark.parametrize(
    ("media_type", "body"),
    [(NDJSON.media_type, b"1\n2"), (NDJSON.media_type, b"1\n\n2\n \n"), (JSON_ARRAY.media_type, b"[1,2]")],
)
def test_the_last_row_counts_however_it_ends(media_type: str, body: bytes) -> None:
    with served(Script(Response(body, media_type=media_type)), lifespan="off") as url:
        assert fetched(url, 2) == [b"1", b"2"]


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_an_api_url_may_have_a_path(path: str) -> None:
    app = Script(lines(1))

    with served(app, lifespan="off") as url:
        fetched(f"{url}{path}", 1)

    assert app.asked == [f"{path.rstrip('/')}/gerar_compra/1?lote=lote-0001"]


@pytest.mark.parametrize("media_type", ["Application/X-NDJSON", "application/x-ndjson ; charset=utf-8"])
def test_a_media_type_is_recognized_in_any_spelling(media_type: str) -> None:
    with served(Script(Response(b"1\n", headers={"Content-Type": media_type})), lifespan="off") as url:
        assert fetched(url, 1) == [b"1"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_server_error_is_transient(status: int) -> None:
    app = Script(Response(status_code=status))

    with (
        served(app, lifespan="off") as url,
        pytest.raises(ApiUnavailableError, match=rf"^lote-0001: /gerar_compra/2 returned {status} "),
    ):
        fetched(url, 2)


def test_a_recovered_server_is_retried_with_back_off() -> None:
    app = Script(Response(status_code=500), lines(2))

    with served(app, lifespan="off") as url:
        assert fetched(url, 2, attempts=3) == [b'{"a":1}'] * 2

    first, second = app.asked_at
    assert 0.5 <= second - first < 10


def test_a_short_response_is_requested_and_landed_again() -> None:
    app = Script(lines(2), lines(4), lines(3))
    added = list[bytes]()

    def add(page: Page) -> LandedPage:
        added.append(b"")
        for chunk in CompleteRows(page):
            added[-1] += chunk
        return LandedPage(format=page.format, rows=3, raw_bytes=0)

    with served(app, lifespan="off") as url:
        an_api(url, attempts=3).fetch(request(3), add)

    assert added[-1] == b'{"a":1}\n' * 3
    assert len(added) == len(app.asked) == 3


def test_the_last_failure_is_raised_after_the_last_attempt(caplog: pytest.LogCaptureFixture) -> None:
    app = Script(Response(status_code=500), Response(status_code=502), Response(status_code=503))

    with (
        served(app, lifespan="off") as url,
        caplog.at_level(logging.WARNING),
        pytest.raises(ApiUnavailableError) as failed,
    ):
        fetched(url, 2, attempts=3)

    assert str(failed.value) == "lote-0001: /gerar_compra/2 returned 503 Service Unavailable."
    assert len(app.asked) == 3
    tries = [
        record.message for record in caplog.records if record.name == "purchase_pipeline.ingest.sources.waits"
    ]
    assert [text for text, status in zip(tries, (500, 502), strict=True) if str(status) in text] == tries


def test_retry_after_in_seconds_is_respected() -> None:
    app = Script(Response(status_code=429, headers={"Retry-After": "2"}), lines(1))

    with served(app, lifespan="off") as url:
        fetched(url, 1, attempts=2)

    first, second = app.asked_at
    assert 2 <= second - first < 10


def test_retry_after_as_a_date_is_respected() -> None:
    moments: list[float] = []

    def try_later() -> Response:
        moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
        moments.append(moment.timestamp())
        return Response(status_code=429, headers={"Retry-After": format_datetime(moment, usegmt=True)})

    app = Script(try_later, lines(1))

    with served(app, lifespan="off") as url:
        fetched(url, 1, attempts=2)

    assert moments[0] <= app.asked_at[1] < moments[0] + 10


@pytest.mark.parametrize(
    "retry_after",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "²",
        "٣",
        "1e400",
        "inf",
        "0x10",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Wed, 21 Oct 2015 07:28:00 -0000",
        "Mon, 99999999999999999999 Jan 2024 00:00:00 GMT",
    ],
)
def test_an_invalid_or_past_retry_after_is_ignored(retry_after: str) -> None:
    refusal = Response(status_code=503)
    refusal.raw_headers.append((b"retry-after", retry_after.encode()))
    app = Script(refusal)

    with served(app, lifespan="off") as url, pytest.raises(ApiUnavailableError) as failed:
        fetched(url, 1)

    assert failed.value.retry_after_seconds == 0


@pytest.mark.parametrize("retry_after", ["61", "3600", "9" * 30, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_no_server_makes_a_request_wait_longer_than_a_minute(retry_after: str) -> None:
    request = httpx.Request("GET", "http://api")
    response = httpx.Response(429, headers={"Retry-After": retry_after}, request=request)

    with pytest.raises(ApiUnavailableError) as failed:
        raise_for_status("lote-0001", response)

    assert failed.value.retry_after_seconds == 60


@pytest.mark.parametrize("status", [300, 304, 400, 401, 403, 404, 410, 422])
def test_a_refusal_is_not_retried(status: int) -> None:
    app = Script(Response(b"" if status == 304 else b"N\xc3\xa3o.", status_code=status))

    with served(app, lifespan="off") as url, pytest.raises(ApiRefusedError) as refused:
        fetched(url, 2, attempts=3)

    assert str(refused.value).startswith(f"lote-0001: /gerar_compra/2 returned {status} ")
    assert status == 304 or str(refused.value).endswith(": Não.")
    assert len(app.asked) == 1


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_the_explanation_of_a_refusal_is_escaped(text: str) -> None:
    app = Script(Response(text.encode(), status_code=404))

    with served(app, lifespan="off") as url, pytest.raises(ApiRefusedError) as refused:
        fetched(url, 2)

    said = str(refused.value)
    assert printable(said) == said
    assert said.startswith("lote-0001: /gerar_compra/2 returned 404 Not Found: ")


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://api.example.com/v2/gerar_compra/2", "https://api.example.com/v2/gerar_compra/2"),
        ("https://ana:segredo@api.example.com/?token=segredo#segredo", "https://api.example.com/"),
        ("/login", "http://127.0.0.1:PORT/login"),
        ("//elsewhere.example/\u202e", "https?://elsewhere.example/%E2%80%AE"),
        ("/" + "x" * 5_000, "http://127.0.0.1:PORT/x+…"),
    ],
)
def test_a_redirect_is_not_followed_and_shown_without_secrets(location: str, named: str) -> None:
    app = Script(RedirectResponse(location))

    with served(app, lifespan="off") as url, pytest.raises(ApiRefusedError) as refused:
        fetched(url.replace("://", "://ana:segredo@"), 2, attempts=3)

    pattern = (
        r"lote-0001: /gerar_compra/2 returned 307 Temporary Redirect: redirects to "
        rf"{named.replace('PORT', url.rpartition(':')[2])}\. Redirects are not followed; change the API's URL to .*\."
    )
    assert re.fullmatch(pattern, str(refused.value))
    assert len(str(refused.value)) < 400
    assert "segredo" not in str(refused.value)
    assert len(app.asked) == 1


def test_a_refusal_of_the_mock_api_is_explained() -> None:
    with (
        served(create_app(defects=0)) as url,
        pytest.raises(ApiRefusedError, match=r"422 .*Number of purchases must be at least 1"),
    ):
        fetched(url, 0, attempts=3)


def test_a_refused_connection_is_transient_and_shows_no_password(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]

    with (
        caplog.at_level(logging.DEBUG, logger="purchase_pipeline"),
        pytest.raises(ApiUnavailableError) as failed,
    ):
        fetched(f"http://ana:segredo@127.0.0.1:{port}", 2, attempts=2)

    assert f"lote-0001: cannot connect to http://127.0.0.1:{port} (Connection refused)." in str(failed.value)
    assert "PURCHASE_API_URL" in str(failed.value)
    assert "Attempt 2 of" in caplog.text
    assert "segredo" not in str(failed.value) + caplog.text


@pytest.mark.parametrize(
    ("answer", "saw"),
    [
        (b"", "Server disconnected without sending a response"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "Server disconnected without sending a response"),
        (raw_answer(b'{"a":1}\n', "Content-Length: 16"), "peer closed connection"),
        (raw_answer(b'8\r\n{"a":1}\n\r\n', "Transfer-Encoding: chunked"), "peer closed connection"),
        (raw_answer(b'8\r\n{"a":1}\n\r\n8\r\n{"a"', "Transfer-Encoding: chunked"), "peer closed connection"),
    ],
    ids=["silence", "not HTTP", "cut length", "cut chunks", "cut in a chunk"],
)
def test_a_broken_response_is_transient(answer: bytes, saw: str) -> None:
    with (
        sent_raw(answer) as url,
        pytest.raises(ApiUnavailableError, match=rf"incomplete or no response .*\({saw}"),
    ):
        fetched(url, 2)


@pytest.mark.parametrize(
    ("media_type", "body", "saw"),
    [
        (NDJSON.media_type, b"", "requested 3 rows, received 0."),
        (NDJSON.media_type, b"1\n2\n", "requested 3 rows, received 2."),
        (NDJSON.media_type, b"1\n2\n3\n4\n", "requested 3 rows, received 4."),
        (JSON_ARRAY.media_type, b"[]", "requested 3 rows, received 0."),
        (JSON_ARRAY.media_type, b"[1,2]", "requested 3 rows, received 2."),
        (JSON_ARRAY.media_type, b"[1,2,3,4]", "requested 3 rows, received 4."),
        (
            JSON_ARRAY.media_type,
            b"[1,2,3",
            "The JSON array is malformed or truncated. 2 of 3 rows were complete.",
        ),
        (
            JSON_ARRAY.media_type,
            b'{"detail":"oops"}',
            "The JSON array is malformed or truncated. 0 of 3 rows were complete.",
        ),
        (
            NDJSON.media_type,
            b'1\n2\n{"a": 3',
            "the last line is truncated: it has no line end, and is not complete JSON. 2 of 3 rows were complete.",
        ),
    ],
)
def test_a_response_with_another_number_of_rows_is_incomplete(media_type: str, body: bytes, saw: str) -> None:
    with (
        served(Script(Response(body, media_type=media_type)), lifespan="off") as url,
        pytest.raises(IncompleteResponseError) as failed,
    ):
        fetched(url, 3)

    assert str(failed.value) == f"lote-0001: {saw}"


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "text/plain", "application/xml", ""])
def test_another_content_type_is_transient(content_type: str) -> None:
    answer = Response(b"1\n")
    answer.raw_headers.append((b"content-type", content_type.encode()))

    with (
        served(Script(answer), lifespan="off") as url,
        pytest.raises(ApiUnavailableError, match=r"^lote-0001: expected application/x-ndjson or ") as failed,
    ):
        fetched(url, 1)

    assert f"got {content_type.partition(';')[0] or 'no type'!r}." in str(failed.value)


def test_a_response_with_a_wrong_digest_is_incomplete() -> None:
    digest = base64.b64encode(hashlib.sha256(b"1\n2\n").digest()).decode()
    headers = {"Content-Digest": f"sha-256=:{digest}:"}
    app = Script(
        Response(b"1\n3\n", headers=headers, media_type=NDJSON.media_type),
        Response(b"1\n2\n", headers=headers, media_type=NDJSON.media_type),
    )

    with served(app, lifespan="off") as url:
        with pytest.raises(IncompleteResponseError, match="does not match its Content-Digest"):
            fetched(url, 2)
        assert fetched(url, 2) == [b"1", b"2"]


def test_a_server_that_stops_responding_is_transient() -> None:
    with (
        served(Script(drops(2, seconds_between=5)), lifespan="off") as url,
        pytest.raises(ApiUnavailableError, match="timed out"),
    ):
        rows_from(an_api(url, read_seconds=0.3), request(2))


def test_a_slow_server_is_cut_at_the_deadline() -> None:
    started = monotonic()

    with (
        served(Script(drops(1_000, seconds_between=0.05)), lifespan="off") as url,
        pytest.raises(ApiUnavailableError, match=r"lote-0001: response not complete after 0\.4 s\."),
    ):
        rows_from(an_api(url, timeout_seconds=0.4), request(1_000))

    assert 0.4 <= monotonic() - started < 20


@contextmanager
def dripping(answer: bytes) -> Iterator[str]:
    """Send a response endlessly, one byte every 20 ms."""

    class Dripper(StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                for byte in cycle(answer):
                    self.wfile.write(bytes([byte]))
                    sleep(0.02)

    with listening(Dripper) as url:
        yield url


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX-" + b"a" * 1_000_000,
        raw_answer(b"1\n" * 1_000, "Content-Length: 2000"),
        raw_answer(b"1\n" * 1_000),
    ],
    ids=["in its headers", "in its body", "in a body without a length"],
)
def test_a_slow_response_is_cut_at_the_deadline_on_every_attempt(answer: bytes) -> None:
    started = monotonic()

    with (
        dripping(answer) as url,
        pytest.raises(ApiUnavailableError),
    ):
        rows_from(an_api(url, attempts=5, timeout_seconds=0.8), request(1_000))

    assert 0.4 <= monotonic() - started < 5


def without_end(piece: bytes) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(300):  # more than anybody reads
            yield piece
            await asyncio.sleep(0.001)

    return StreamingResponse(pieces(), media_type=NDJSON.media_type)


@pytest.mark.parametrize(
    ("piece", "saw"),
    [
        (b"1\n" * 50_000, "requested 3 rows, received "),
        (b"x" * 1_000_000, "a row is longer than 16,777,216 bytes"),
        (b" " * 1_000_000, "a row is longer than 16,777,216 bytes"),
    ],
    ids=["of rows", "of one row", "of blanks"],
)
def test_an_endless_response_is_refused_early(piece: bytes, saw: str) -> None:
    with (
        served(Script(without_end(piece)), lifespan="off") as url,
        pytest.raises(IncompleteResponseError, match=saw),
    ):
        fetched(url, 3)


def test_attempts_and_waits_end_within_the_timeout() -> None:
    app = Script(Response(status_code=503, headers={"Retry-After": "1"}))
    started = monotonic()

    with (
        served(app, lifespan="off") as url,
        pytest.raises(ApiUnavailableError, match="503"),
    ):
        rows_from(an_api(url, attempts=50, timeout_seconds=2.5), request(1))

    assert len(app.asked) in {2, 3}
    assert monotonic() - started < 10


def test_an_attempt_cut_by_the_timeout_tells_what_the_attempt_before_met() -> None:
    app = Script(Response(status_code=503, headers={"Retry-After": "1"}), drops(1_000, seconds_between=0.05))

    with served(app, lifespan="off") as url, pytest.raises(ApiUnavailableError) as failed:
        rows_from(an_api(url, attempts=2, timeout_seconds=3), request(1_000))

    assert "lote-0001: response not complete after 3 s. The attempt before: " in str(failed.value)
    assert "503" in str(failed.value)


def test_an_endless_explanation_of_a_refusal_is_truncated() -> None:
    refusal = b"HTTP/1.1 404 Not Found\r\n\r\n" + b"no " * 10_000_000

    with sent_raw(refusal) as url, pytest.raises(ApiRefusedError) as failed:
        fetched(url, 1)

    assert len(str(failed.value)) < 400


def test_a_failed_fetch_keeps_the_landed_file(tmp_path: Path) -> None:
    landing = landing_at(str(tmp_path))
    app = Script(lines(3), lines(2), Response(b"1\n2\n", media_type=NDJSON.media_type))

    with served(app, lifespan="off") as url:
        fetch = partial(an_api(url, attempts=2).fetch, request(3))
        old = landing.land("lote-0001", fetch)
        with pytest.raises(IncompleteResponseError):
            landing.land("lote-0001", fetch)

    assert len(app.asked) == 3
    assert landing.find("lote-0001") == old
    with landing.open_rows(old) as rows:
        assert list(rows) == [b'{"a":1}'] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [old.file_name, "lote-0001.json"]


def test_an_error_of_the_landing_is_not_retried() -> None:
    app = Script(lines(3))

    def full_disk(page: Page) -> LandedPage:
        next(iter(page.chunks))
        raise OSError(28, "No space left on device")

    with (
        served(app, lifespan="off") as url,
        pytest.raises(OSError, match="No space left on device"),
    ):
        an_api(url, attempts=3).fetch(request(3), full_disk)

    assert len(app.asked) == 1
