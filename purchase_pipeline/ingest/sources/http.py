"""A source that is an HTTP API or a file on a web server."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from time import monotonic
from typing import Any

import httpx

from purchase_pipeline import needs_extra
from purchase_pipeline.ingest.api_client import api_client
from purchase_pipeline.ingest.deadline import request_deadline
from purchase_pipeline.ingest.formats import RowFormat
from purchase_pipeline.ingest.sources.auth import Auth
from purchase_pipeline.ingest.sources.http_session import HttpSession, Throttle
from purchase_pipeline.ingest.sources.pages import NoPages, Pages
from purchase_pipeline.ingest.sources.request import AddPage, PartitionRequest, TemplateError, names_in
from purchase_pipeline.ingest.sources.variables import Deferred, address, secret
from purchase_pipeline.ingest.sources.waits import LONGEST_WAIT_SECONDS


@dataclass(frozen=True)
class HttpSource:
    """Requests a partition over HTTP, page by page; each page is retried alone.

    Attributes:
        url: the API's URL, or the name of the environment variable with it; in Python also a `dagster.EnvVar`.
        path: template of the path, `/orders/{partition_key}`; values are escaped.
        method: of all requests, such as POST.
        params, headers, body: templates, as texts or structures of texts; the body is sent as JSON.
        for_each: lists of values; there is a request for each combination. The values are variables of the templates,
            and of the rows.
        auth: authentication; secrets are named by environment variable.
        rows: path of the rows in a JSON object, `data.records`; empty if the body itself is the rows.
        pages: how the next page is found.
        format: format of the body; by default that of its Content-Type.
        expect_rows: template of the number of rows that each response must have.
        rate: limit of requests, `600/minute`, shared through Redis, or else within the process.
        redis_url: variable with the URL of that Redis.
        attempts: for each page.
        timeout_seconds: for the whole partition, with all waits.
        connect_timeout_seconds, read_timeout_seconds: of a request: to connect, and between two chunks of its response.
        longest_wait_seconds: limit of the wait that a response asks for.
    """

    url: str | Deferred
    path: str = ""
    method: str = "GET"
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    for_each: Mapping[str, Sequence[str]] = field(default_factory=dict)
    auth: Auth | None = None
    rows: str = ""
    pages: Pages = field(default_factory=NoPages)
    format: RowFormat | None = None
    expect_rows: str | None = None
    rate: str | None = None
    redis_url: str | Deferred | None = None
    attempts: int = 5
    timeout_seconds: float = 600.0
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 30.0
    longest_wait_seconds: float = LONGEST_WAIT_SECONDS

    def fetch(self, request: PartitionRequest, add_page: AddPage) -> None:
        """Fetch a partition.

        Raises:
            ApiUnavailableError: the last attempt for a page failed, or the time is up.
            ApiRefusedError: a 4xx, or a next page on another host; not retried.
            MissingVariableError, TemplateError: the source's own attributes are wrong.
        """
        base = httpx.URL(address(self.url))
        timeout = httpx.Timeout(self.read_timeout_seconds, connect=self.connect_timeout_seconds)
        with (
            request_deadline(self.timeout_seconds) as deadline,
            api_client(str(base), timeout) as client,
        ):
            session = HttpSession(
                self,
                client,
                deadline,
                self._auth(base),
                self._throttle(str(base.copy_with(userinfo=b""))),
                ends_at=monotonic() + self.timeout_seconds,
            )
            for variables in self._combinations():
                each = request.with_variables(variables)
                session.fetch(each, self._first_url(base, each), variables, add_page)

    def expected_rows(self, request: PartitionRequest) -> int | None:
        """Return the number of rows that each response must have, by `expect_rows`.

        Raises:
            TemplateError: it is not a number.
        """
        if self.expect_rows is None:
            return None
        expected = request.expand(self.expect_rows)
        try:
            return int(expected)
        except ValueError as error:
            raise TemplateError(
                f"expect_rows={self.expect_rows!r} gives {expected!r}: not a number of rows."
            ) from error

    @property
    def variables(self) -> set[str]:
        """The variables that the source's templates need from the partition, without those of `for_each`."""
        templates = (self.path, self.params, self.headers, self.body, self.expect_rows)
        return set().union(*map(names_in, templates)) - self.for_each.keys()

    def _combinations(self) -> Iterator[dict[str, str]]:
        for values in product(*self.for_each.values()):
            yield dict(zip(self.for_each, map(str, values), strict=True))

    def _first_url(self, base: httpx.URL, request: PartitionRequest) -> httpx.URL:
        path = request.expand_path(self.path).lstrip("/")
        plain = base.copy_with(userinfo=b"", query=None, fragment=None)
        url = httpx.URL(f"{str(plain).rstrip('/')}/{path}") if path else plain
        return url.copy_merge_params(base.params.merge(request.expand_all(self.params)))

    def _auth(self, base: httpx.URL) -> httpx.Auth | None:
        if self.auth is not None:
            return self.auth.opened()
        return httpx.BasicAuth(base.username, base.password) if base.userinfo else None

    def _throttle(self, url: str) -> Throttle | None:
        if self.rate is None:
            return None
        return _shared_rate(self.rate, secret(self.redis_url) if self.redis_url is not None else None, url)


@lru_cache(maxsize=64)
def _shared_rate(rate: str, redis_url: str | None, api_url: str) -> Throttle:
    """Return a function that waits until the rate allows a request; one for all partitions of a process."""
    with needs_extra("scale", "A request rate"):
        # Imported on demand: neither Redis nor its client is part of the local stack.
        from purchase_pipeline.ingest.rate_limit import SharedRate  # noqa: PLC0415
    return SharedRate(rate, redis_url, api_url).wait_for_turn
