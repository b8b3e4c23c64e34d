"""The requests of one partition: pages, retries, the deadline, the format of each response."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

import httpx

from purchase_pipeline.ingest.content_coding import ACCEPT_ENCODING
from purchase_pipeline.ingest.deadline import RequestDeadline
from purchase_pipeline.ingest.printable import labelled, one_line
from purchase_pipeline.ingest.response_body import content_of, unpacked
from purchase_pipeline.ingest.row_splitter import UnreadableResponseError
from purchase_pipeline.ingest.sources.errors import (
    ApiRefusedError,
    ApiUnavailableError,
    IncompleteResponseError,
    raise_for_status,
)
from purchase_pipeline.ingest.sources.http_format import ACCEPT, response_format
from purchase_pipeline.ingest.sources.pages import PageResponse, require_same_origin
from purchase_pipeline.ingest.sources.request import AddPage, Page, PartitionRequest
from purchase_pipeline.ingest.sources.variables import name_of_variable
from purchase_pipeline.ingest.sources.waits import retrying

if TYPE_CHECKING:
    from purchase_pipeline.ingest.sources.http import HttpSource

Throttle = Callable[[float], None]

_ERROR_LENGTH = 200
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")


@dataclass(frozen=True)
class HttpSession:
    """A client used for one partition until the deadline, which cuts all its connections.

    `throttle` is called before each request, with the seconds that it may wait.
    """

    source: "HttpSource"
    client: httpx.Client
    deadline: RequestDeadline
    auth: httpx.Auth | None
    throttle: Throttle | None
    ends_at: float

    def fetch(
        self, request: PartitionRequest, url: httpx.URL, variables: Mapping[str, str], add_page: AddPage
    ) -> None:
        """Fetch all pages from a URL on; the variables are those of their rows."""
        pages = self.source.pages
        series = _Series(self, request, variables)
        seen, last = set[httpx.URL](), b""
        following: httpx.URL | None = pages.start(url)
        while following is not None:
            if following in seen:
                raise IncompleteResponseError(
                    labelled(series.label, f"the next page of {url.path} is a page that was already read.")
                )
            require_same_origin(series.label, url, following)
            seen.add(following)
            response, digest = series.fetch_page(following, add_page)
            if pages.repeats and response.rows and digest == last:
                raise ApiRefusedError(
                    labelled(series.label, f"two pages of {url.path} in a row are the same."),
                    hint=f"The API seems to ignore the parameter of {pages}.",
                )
            last, following = digest, pages.after(response)


@dataclass(frozen=True)
class _Series:
    """The pages of one combination of `for_each`."""

    session: HttpSession
    request: PartitionRequest
    variables: Mapping[str, str]

    @property
    def label(self) -> str:
        return " ".join(filter(None, (self.request.key, *map(str, self.variables.values()))))

    def fetch_page(self, url: httpx.URL, add_page: AddPage) -> tuple[PageResponse, bytes]:
        """Request a page until it has been added; return what it says about the next, and a digest."""
        source = self.session.source
        seconds = self.session.ends_at - monotonic()
        retrier = retrying(ApiUnavailableError, source.attempts, seconds, source.longest_wait_seconds)
        failed: ApiUnavailableError | None = None

        def attempt() -> tuple[PageResponse, bytes]:
            nonlocal failed
            try:
                return self._fetch_once(url, add_page)
            except ApiUnavailableError as error:
                if failed is None or not self.session.deadline.is_over:
                    failed = error
                    raise
                # The deadline says nothing about why the time was not enough.
                before = str(failed).removeprefix(labelled(self.label, ""))
                raise ApiUnavailableError(f"{error} The attempt before: {before}") from error

        response: tuple[PageResponse, bytes] = retrier(attempt)
        return response

    def _fetch_once(self, url: httpx.URL, add_page: AddPage) -> tuple[PageResponse, bytes]:
        if self.session.throttle is not None:
            self.session.throttle(self.session.ends_at - monotonic())
        with self._open(url) as response:
            if response.status_code == httpx.codes.NO_CONTENT:
                return PageResponse(url, 0, response.links, None, response.headers), b""
            source = self.session.source
            row_format = response_format(self.label, response, source.format, source.rows)
            content = _Hashed(unpacked(content_of(response, self.session.deadline)), source.pages.repeats)
            try:
                page = add_page(Page(row_format, content, self.variables, source.expected_rows(self.request)))
            except UnreadableResponseError as error:
                shown = one_line(str(error), _ERROR_LENGTH)
                raise IncompleteResponseError(labelled(self.label, shown)) from error
        return PageResponse(url, page.rows, response.links, page.envelope, response.headers), content.digest

    @contextmanager
    def _open(self, url: httpx.URL) -> Iterator[httpx.Response]:
        """Send a request. Transport errors, now or while reading, are transient."""
        session, source = self.session, self.session.source
        headers = {"Accept": ACCEPT, "Accept-Encoding": ACCEPT_ENCODING}
        # An empty one sends a JSON null: None is no body.
        body = None if source.body is None else self.request.expand_all(source.body)
        try:
            with session.client.stream(
                source.method,
                url,
                headers=httpx.Headers({**headers, **self.request.expand_all(source.headers)}),
                json=body,
                auth=session.auth,
                extensions={"trace": session.deadline.trace},
            ) as response:
                raise_for_status(self.label, response, longest_wait_seconds=source.longest_wait_seconds)
                yield response
        except httpx.RequestError as error:
            raise self._unavailable(url, error) from error

    def _unavailable(self, url: httpx.URL, error: httpx.RequestError) -> ApiUnavailableError:
        source = self.session.source
        if self.session.deadline.is_over:
            return ApiUnavailableError(
                labelled(self.label, f"response not complete after {source.timeout_seconds:g} s.")
            )
        origin = url.copy_with(userinfo=b"", raw_path=b"/")
        summary = one_line(_ERRNO.sub("", str(error)) or type(error).__name__, _ERROR_LENGTH).rstrip(".")
        address = str(origin).rstrip("/")
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            message = f"cannot connect to {address} ({summary})."
        else:
            message = f"incomplete or no response from {address} ({summary})."
        return ApiUnavailableError(
            labelled(self.label, message),
            hint=f"Check that the API is running, and {name_of_variable(source.url) or 'its URL'}.",
        )


@dataclass
class _Hashed:
    """Chunks that are hashed while they are iterated, if the API may repeat its last page."""

    chunks: Iterable[bytes]
    is_hashed: bool
    digest: bytes = field(default=b"")

    def __iter__(self) -> Iterator[bytes]:
        if not self.is_hashed:
            yield from self.chunks
            return
        content = hashlib.blake2b(digest_size=16)
        for chunk in self.chunks:
            content.update(chunk)
            yield chunk
        self.digest = content.digest()
