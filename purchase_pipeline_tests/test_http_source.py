"""HTTP sources against real servers: templates, pages, authentication, retries, formats."""

import base64
import gzip
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from time import time
from typing import Any

import dagster as dg
import pytest
import zstandard
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from purchase_pipeline.ingest.formats import NDJSON, Csv, Json
from purchase_pipeline.ingest.sources.auth import (
    ApiKey,
    Auth,
    BasicAuth,
    BearerToken,
    OAuth2ClientCredentials,
)
from purchase_pipeline.ingest.sources.errors import (
    ApiRefusedError,
    ApiUnavailableError,
    IncompleteResponseError,
)
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.ingest.sources.pages import Cursor, LinkHeader, NextLink, Offset, PageNumber, Pages
from purchase_pipeline.ingest.sources.request import PartitionRequest, TemplateError
from purchase_pipeline.ingest.sources.variables import MissingVariableError
from purchase_pipeline_tests.fetching import Received, rows_from
from purchase_pipeline_tests.serving import served

ROWS = [b'{"id":%d}' % number for number in range(7)]
DAY = PartitionRequest("2026-01-05", {"start": date(2026, 1, 5), "since": None})


class App:
    """An application that responds by a function, and records its requests."""

    def __init__(self, respond: Callable[[Request], Response]) -> None:
        self._respond = respond
        self.asked: list[Request] = []
        self.bodies: list[bytes] = []
        self.asked_at: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        request = Request(scope, receive)
        self.asked.append(request)
        self.asked_at.append(time())
        self.bodies.append(await request.body())
        await self._respond(request)(scope, receive, send)

    @property
    def urls(self) -> list[str]:
        """The requested paths and queries."""
        return [str(request.url).removeprefix(f"http://{request.url.netloc}") for request in self.asked]


def array(rows: Sequence[bytes] = ROWS, **headers: str) -> Response:
    return Response(b"[" + b",".join(rows) + b"]", media_type="application/json", headers=headers)


def envelope(rows: Sequence[bytes], **members: object) -> Response:
    around = {"items": [], **members}
    body = json.dumps(around).replace('"items": []', f'"items": [{b",".join(rows).decode()}]', 1)
    return Response(body, media_type="application/json")


def fetched(app: App, request: PartitionRequest = DAY, **settings: Any) -> list[bytes]:  # noqa: ANN401  (HttpSource's types)
    with served(app, lifespan="off") as url:
        return rows_from(HttpSource(url, **{"attempts": 1, **settings}), request)


def test_path_parameters_headers_and_body_are_templates() -> None:
    app = App(lambda _: array())

    fetched(
        app,
        path="/v1/{start:%Y}/{partition_key}",
        method="POST",
        params={"day": "{start:%d/%m/%Y}", "size": 5, "since": "{since}", "tag": ["a", "{partition_key}"]},
        headers={"X-Day": "{start}"},
        body={"filter": {"from": "{start}", "deep": [True, "{partition_key}"]}, "since": "{since}"},
    )

    assert app.urls == ["/v1/2026/2026-01-05?day=05%2F01%2F2026&size=5&tag=a&tag=2026-01-05"]
    assert app.asked[0].headers["x-day"] == "2026-01-05"
    assert json.loads(app.bodies[0]) == {"filter": {"from": "2026-01-05", "deep": [True, "2026-01-05"]}}


def test_a_value_in_the_path_is_escaped() -> None:
    app = App(lambda _: array())

    fetched(app, PartitionRequest("São Paulo/?#..%2F"), path="/cities/{partition_key}/sales?kind=a")

    assert app.asked[0].scope["raw_path"] == b"/cities/S%C3%A3o%20Paulo%2F%3F%23..%252F/sales"
    assert app.asked[0].query_params["kind"] == "a"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{dia}", r"Unknown variable \{dia\} in '\{dia\}'. Known: partition_key, since, start"),
        ("{start:%d", "Cannot fill in the template"),
        ("{}", "Cannot fill in the template|Unknown variable"),
        ("{start.week}", "Cannot fill in the template"),
    ],
)
def test_a_wrong_template_is_explained(template: str, problem: str) -> None:
    with pytest.raises(TemplateError, match=problem):
        DAY.expand(template)


def test_there_is_a_request_for_each_combination() -> None:
    app = App(lambda request: array([b'"%s"' % request.query_params["series"].encode()]))
    received = Received()

    with served(app, lifespan="off") as url:
        HttpSource(
            url,
            params={"series": "{series}", "unit": "{unit}"},
            for_each={"series": ["usd", "eur"], "unit": ["d", "m"]},
        ).fetch(DAY, received.add)

    assert app.urls == [f"/?series={series}&unit={unit}" for series in ("usd", "eur") for unit in "dm"]
    assert [(page.variables, rows) for page, rows in received.pages] == [
        ({"series": "usd", "unit": "d"}, [b'"usd"']),
        ({"series": "usd", "unit": "m"}, [b'"usd"']),
        ({"series": "eur", "unit": "d"}, [b'"eur"']),
        ({"series": "eur", "unit": "m"}, [b'"eur"']),
    ]


def page_of(request: Request, size: int = 3) -> tuple[int, list[bytes], bool]:
    start = int(request.query_params.get("at", 0))
    return start, ROWS[start : start + size], start + size < len(ROWS)


def by_link(request: Request) -> Response:
    start, rows, more = page_of(request)
    return array(
        rows, Link=f'</?at={start + 3}>; rel="next", </>; rel="first"' if more else '</>; rel="first"'
    )


def by_next(request: Request) -> Response:
    start, rows, more = page_of(request)
    link = f"?at={start + 3}" if more else None
    return envelope(rows, links={"next": link}, **{"@odata.nextLink": link})


def by_number(request: Request) -> Response:
    page, size = int(request.query_params["page"]), int(request.query_params.get("size", 3))
    return array(ROWS[(page - 1) * size : page * size])


def by_offset(request: Request) -> Response:
    start, limit = int(request.query_params["offset"]), int(request.query_params["limit"])
    return array(ROWS[start : start + min(limit, 4)])  # the API lowers the limit


def by_cursor(request: Request) -> Response:
    _, rows, more = page_of(request)
    last = int(request.query_params.get("at", 0)) + 3
    return envelope(rows, meta={"cursor": last if more else None}, more=more)


@pytest.mark.parametrize(
    ("respond", "pages", "rows", "requests"),
    [
        (by_link, LinkHeader(), "", 3),
        (by_next, NextLink("links.next"), "items", 3),
        (by_next, NextLink("@odata.nextLink"), "items", 3),
        (by_number, PageNumber(), "", 4),
        (by_number, PageNumber(size=3), "", 3),
        (by_number, PageNumber(size=2, size_param="size"), "", 4),
        (by_offset, Offset(), "", 3),
        (by_offset, Offset(limit=2, short_page_ends=True), "", 4),
        (by_cursor, Cursor("at", "meta.cursor"), "items", 3),
        (by_cursor, Cursor("at", "meta.cursor", has_more="more"), "items", 3),
    ],
)
def test_all_pages_are_fetched_once_in_order(
    respond: Callable[[Request], Response], pages: Pages, rows: str, requests: int
) -> None:
    app = App(respond)

    assert fetched(app, pages=pages, rows=rows, params={"day": "{partition_key}"}) == ROWS
    assert len(app.urls) == len(set(app.urls)) == requests
    assert "day=2026-01-05" in app.urls[0]


def test_only_the_page_that_failed_is_requested_again() -> None:
    seen = Counter[str]()

    def respond(request: Request) -> Response:
        at = request.query_params.get("at", "0")
        seen[at] += 1
        if at == "3" and seen[at] < 3:
            return (
                Response(status_code=503)
                if seen[at] == 1
                else Response(b"[1,", media_type="application/json")
            )
        return by_link(request)

    assert fetched(App(respond), pages=LinkHeader(), attempts=3) == ROWS
    assert seen == {"0": 1, "3": 3, "6": 1}


@pytest.mark.parametrize("link", ["/?at=0", "/"])
def test_pages_in_a_circle_are_an_error(link: str) -> None:
    app = App(lambda _: array(Link=f'<{link}>; rel="next"'))

    with pytest.raises(
        IncompleteResponseError, match="2026-01-05: the next page of / is a page that was already read"
    ):
        fetched(app, pages=LinkHeader())


def test_a_server_that_ignores_the_page_number_is_an_error() -> None:
    app = App(lambda _: array())

    with pytest.raises(ApiRefusedError, match=r"two pages of / in a row are the same.*ignore the parameter"):
        fetched(app, pages=PageNumber("seite"))
    assert len(app.asked) == 2


@pytest.mark.parametrize(
    "host", ["http://elsewhere.example", "https://127.0.0.1", "http://user:pw@127.0.0.1:1"]
)
def test_the_token_is_not_sent_to_another_host(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cret")
    app = App(lambda _: array(Link=f'<{host}/2?key=k3y>; rel="next"'))

    with pytest.raises(ApiRefusedError, match="the next page is on another host: http") as refused:
        fetched(app, pages=LinkHeader(), auth=BearerToken("TOKEN"))

    assert not {"s3cret", "k3y", "pw"} & set(str(refused.value).replace("/", " ").replace(":", " ").split())


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (BearerToken("SECRET"), ("authorization", "Bearer s3cret")),
        (ApiKey("SECRET"), ("x-api-key", "s3cret")),
        (ApiKey("SECRET", header="X-Token"), ("x-token", "s3cret")),
        (
            BasicAuth("USERNAME", "SECRET"),
            ("authorization", f"Basic {base64.b64encode(b'ana:s3cret').decode()}"),
        ),
    ],
)
def test_a_secret_is_read_by_the_name_of_its_variable(
    auth: Auth, header: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s3cret\n")
    monkeypatch.setenv("USERNAME", "ana")
    app = App(lambda _: array())

    fetched(app, auth=auth)

    assert app.asked[0].headers[header[0]] == header[1]
    assert "s3cret" not in repr(HttpSource("http://api", auth=auth))


def test_a_key_in_the_query_is_sent_with_every_page_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3cret")
    app = App(lambda request: array() if "at" in request.query_params else array(Link='</?at=1>; rel="next"'))
    fetched(app, auth=ApiKey("SECRET", query="key"), pages=LinkHeader())
    assert app.urls == ["/?key=s3cret", "/?at=1&key=s3cret"]

    with pytest.raises(ApiRefusedError) as refused:
        fetched(App(lambda _: Response(status_code=404)), auth=ApiKey("SECRET", query="key"))
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("value", [None, "", "a\nb"])
def test_a_secret_that_is_not_usable_is_named(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET", raising=False)
    if value is not None:
        monkeypatch.setenv("SECRET", value)

    with pytest.raises(MissingVariableError, match="The environment variable SECRET "):
        fetched(App(lambda _: array()), auth=BearerToken("SECRET"))


class Tokens:
    """An API whose tokens are valid for some requests, and say how long they live."""

    def __init__(self, valid_for: int, expires_in: float | None = 3600) -> None:
        self.issued: list[dict[str, str]] = []
        self._valid_for, self._expires_in = valid_for, expires_in
        self._left = 0

    def __call__(self, request: Request) -> Response:
        """Issue a token, or serve a page for one."""
        if request.url.path == "/token":
            self.issued.append(dict(request.headers))
            self._left = self._valid_for
            return JSONResponse({"access_token": f"t{len(self.issued)}", "expires_in": self._expires_in})
        if request.headers.get("authorization") != f"Bearer t{len(self.issued)}" or self._left == 0:
            return Response(status_code=401)
        self._left -= 1
        return by_link(request)


@pytest.mark.parametrize(
    ("valid_for", "expires_in", "issued"), [(9, 3600, 1), (9, None, 1), (1, 3600, 3), (9, 0, 3), (0, 3600, 2)]
)
def test_a_token_is_renewed_before_its_end_and_once_after_a_401(
    valid_for: int, expires_in: float | None, issued: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ID", "me")
    monkeypatch.setenv("SECRET", "s3cret")
    tokens = Tokens(valid_for, expires_in)
    app = App(tokens)

    with served(app, lifespan="off") as url:
        auth = OAuth2ClientCredentials(f"{url}/token", "ID", "SECRET", scope="read")
        source = HttpSource(url, auth=auth, pages=LinkHeader(), attempts=1)
        if valid_for:
            assert rows_from(source, DAY) == ROWS
        else:
            with pytest.raises(ApiRefusedError, match="401 Unauthorized"):
                rows_from(source, DAY)

    assert len(tokens.issued) == issued
    assert tokens.issued[0]["authorization"] == f"Basic {base64.b64encode(b'me:s3cret').decode()}"
    assert app.bodies[0] == b"grant_type=client_credentials&scope=read"


def test_a_token_serves_all_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ID", "me")
    monkeypatch.setenv("SECRET", "s3cret")
    tokens = Tokens(valid_for=9)

    with served(App(tokens), lifespan="off") as url:
        source = HttpSource(
            url, auth=OAuth2ClientCredentials(f"{url}/token", "ID", "SECRET"), pages=LinkHeader()
        )
        assert [rows_from(source, PartitionRequest(key)) for key in "abc"] == [ROWS] * 3

    assert len(tokens.issued) == 1


@pytest.mark.parametrize("kind", [dg.EnvVar, str])
@pytest.mark.parametrize("name", ["API_URL", "OTHER_URL"])
def test_the_url_may_be_a_variable(name: str, kind: type[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTHER_URL", raising=False)

    with served(App(lambda _: array()), lifespan="off") as url:
        monkeypatch.setenv("API_URL", url)
        source = HttpSource(kind(name), auth=BearerToken(kind("API_URL")))
        if name == "API_URL":
            assert rows_from(source, DAY) == ROWS
        else:
            with pytest.raises(MissingVariableError, match="The environment variable OTHER_URL is not set"):
                rows_from(source, DAY)

    assert url not in repr(source)


def test_a_partition_without_a_key_is_not_named_in_messages() -> None:
    with pytest.raises(ApiRefusedError, match=r"^/ returned 404 Not Found"):
        fetched(App(lambda _: Response(status_code=404)), PartitionRequest(""))


@pytest.mark.parametrize(("status", "error"), [(401, ApiRefusedError), (503, ApiUnavailableError)])
def test_a_refused_token_is_an_error_without_its_body(
    status: int, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ID", "me")
    monkeypatch.setenv("SECRET", "s3cret")
    app = App(lambda _: Response(b"s3cret", status_code=status))

    with (
        served(app, lifespan="off") as url,
        pytest.raises(error, match=f"No token: /token returned {status}") as failed,
    ):
        rows_from(
            HttpSource(
                url, auth=OAuth2ClientCredentials(f"{url}/token", "ID", "SECRET", in_body=True), attempts=1
            ),
            DAY,
        )

    assert "s3cret" not in str(failed.value)


def once(response: Response) -> Callable[[Request], Response]:
    """Respond once with this, then with rows."""
    left = [response]
    return lambda _: left.pop() if left else array()


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"X-RateLimit-Reset": "2"}, 2),
        (429, {"X-RateLimit-Reset": "EPOCH"}, 2),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2"}, 2),
        (403, {"Retry-After": "2"}, 2),
        (503, {"Retry-After": "2", "X-RateLimit-Reset": "9"}, 2),
        (429, {"X-RateLimit-Reset": "30"}, 3),
        (429, {"X-RateLimit-Reset": "soon"}, 0.5),
    ],
)
def test_a_rate_limit_is_waited_for(status: int, headers: Mapping[str, str], seconds: float) -> None:
    stated = {name: value.replace("EPOCH", str(int(time()) + 3)) for name, value in headers.items()}
    app = App(once(Response(status_code=status, headers=stated)))

    assert fetched(app, attempts=2, longest_wait_seconds=3) == ROWS
    assert seconds - 0.1 <= app.asked_at[1] - app.asked_at[0] < seconds + 3


@pytest.mark.parametrize("headers", [{}, {"X-RateLimit-Remaining": "5"}, {"X-RateLimit-Reset": "2"}])
def test_another_403_is_a_refusal(headers: Mapping[str, str]) -> None:
    app = App(once(Response(status_code=403, headers=headers)))

    with pytest.raises(ApiRefusedError, match="403 Forbidden"):
        fetched(app, attempts=2)


def test_no_content_is_no_rows() -> None:
    received = Received()

    with served(App(lambda _: Response(status_code=204)), lifespan="off") as url:
        HttpSource(url).fetch(DAY, received.add)

    assert received.pages == []


CSV = 'id,cidade\n1,São Paulo\n2,"a,\nb"\n'.encode()
GZIPPED = gzip.compress(CSV, mtime=0)
CSV_ROWS = ["1,São Paulo".encode(), b'2,"a,\nb"']


@pytest.mark.parametrize(
    ("body", "media_type", "path", "settings", "rows"),
    [
        (b"1\n2\n", "application/x-ndjson", "", {}, [b"1", b"2"]),
        (b'{"data":{"items":[1,2]}}', "application/json", "", {"rows": "data.items"}, [b"1", b"2"]),
        (b'{"data":{"items":[1,2]}}', "text/plain", "", {"format": Json(rows="data.items")}, [b"1", b"2"]),
        (CSV, "text/csv", "", {}, CSV_ROWS),
        (CSV.decode().encode("latin-1"), "text/csv; charset=iso-8859-1", "", {}, CSV_ROWS),
        (
            CSV.decode().encode("cp1252"),
            "text/csv",
            "",
            {"format": Csv(encoding="cp1252")},
            CSV_ROWS,
        ),
        (CSV.decode().encode("utf-16"), "text/plain", "", {"format": Csv(encoding="utf-16")}, CSV_ROWS),
        (b"\xef\xbb\xbf" + CSV, "text/csv", "", {}, CSV_ROWS),
        (GZIPPED, "application/gzip", "/2026.csv.gz", {}, CSV_ROWS),
        (
            gzip.compress(CSV[:9], mtime=0) + gzip.compress(CSV[9:], mtime=0),
            "application/octet-stream",
            "/a.CSV.gz",
            {},
            CSV_ROWS,
        ),
        (zstandard.compress(CSV), "application/zstd", "/2026.csv.zst", {}, CSV_ROWS),
        (gzip.compress(b"1\n2\n", mtime=0), "", "/a.jsonl.gz", {}, [b"1", b"2"]),
        (gzip.compress(b"1\n2\n", mtime=0), "binary/octet-stream", "", {"format": NDJSON}, [b"1", b"2"]),
    ],
)
def test_a_format_is_given_or_found(
    body: bytes, media_type: str, path: str, settings: dict[str, Any], rows: list[bytes]
) -> None:
    app = App(lambda _: Response(body, headers={"Content-Type": media_type} if media_type else {}))

    assert fetched(app, path=path, **settings) == rows


@pytest.mark.parametrize(
    ("response", "settings", "problem"),
    [
        (PlainTextResponse("x"), {}, "expected application/x-ndjson or .* got 'text/plain'"),
        (Response(b"<p>", media_type="text/html"), {"format": Csv()}, "expected text/csv, got 'text/html'"),
        (array(), {"rows": "items"}, "The response is not a JSON object"),
        (envelope([]), {"rows": "data"}, "The response has no 'data'"),
        (Response(GZIPPED[:-9], media_type="text/csv"), {}, "compressed content is truncated"),
        (
            Response(b"a,b\n1,2\n3", media_type="text/csv"),
            {},
            ".*fewer fields than the header. 1 rows were complete",
        ),
        (Response(b"a,b,a\n1,2,3\n", media_type="text/csv"), {}, "The CSV's header has 'a' twice"),
        (array(), {"expect_rows": "8"}, "requested 8 rows, received 7"),
    ],
)
def test_another_body_is_transient(response: Response, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ApiUnavailableError, match=f"^2026-01-05: {problem}"):
        fetched(App(lambda _: response), **settings)


def test_a_rate_is_kept_within_the_process() -> None:
    app = App(by_link)

    fetched(app, pages=LinkHeader(), rate="2/second")

    assert app.asked_at[2] - app.asked_at[0] > 0.9
