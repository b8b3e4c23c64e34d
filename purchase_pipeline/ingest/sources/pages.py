"""Pages of a response: which request comes after a response, and when to stop."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import httpx

from purchase_pipeline.ingest.json_envelope import value_at
from purchase_pipeline.ingest.printable import labelled
from purchase_pipeline.ingest.sources.errors import ApiRefusedError, IncompleteResponseError


class PageResponse(NamedTuple):
    """What a page says about the next one."""

    url: httpx.URL
    rows: int
    links: Mapping[str | None, Mapping[str, str]]
    envelope: Any
    """The JSON around the rows; None for other formats."""
    headers: Mapping[str, str] = {}


class Pages(Protocol):
    """A way to get a response in pages."""

    @property
    def repeats(self) -> bool:
        """Whether a server that ignores the parameters would send the same page for ever."""

    def start(self, url: httpx.URL) -> httpx.URL:
        """Return the URL of the first page."""

    def after(self, response: PageResponse) -> httpx.URL | None:
        """Return the URL of the page after this one; None after the last."""


@dataclass(frozen=True)
class NoPages:
    """One response is all."""

    repeats = False

    def start(self, url: httpx.URL) -> httpx.URL:
        """Return the URL itself."""
        return url

    def after(self, response: PageResponse) -> None:  # noqa: ARG002
        """Return None."""
        return


@dataclass(frozen=True)
class LinkHeader:
    """The next page's URL is in the header `Link`, with `rel="next"` (RFC 8288).

    Attributes:
        rel: the link's relation.
    """

    rel: str = "next"
    repeats = False

    def start(self, url: httpx.URL) -> httpx.URL:
        """Return the URL itself."""
        return url

    def after(self, response: PageResponse) -> httpx.URL | None:
        """Return the link's target."""
        return _linked(response.url, response.links.get(self.rel, {}).get("url"))


@dataclass(frozen=True)
class NextLink:
    """The next page's URL or path is in the JSON around the rows, at a path: `next`, `links.next`.

    Attributes:
        path: path of the link.
    """

    path: str = "next"
    repeats = False

    def start(self, url: httpx.URL) -> httpx.URL:
        """Return the URL itself."""
        return url

    def after(self, response: PageResponse) -> httpx.URL | None:
        """Return the link's target; the last page has none, null or an empty one."""
        return _linked(response.url, _in_envelope(response, self.path))


@dataclass(frozen=True)
class Cursor:
    """The JSON around the rows has a cursor at a path, which the next request sends as a parameter.

    Attributes:
        param: parameter for the cursor.
        path: path of the cursor.
        has_more: path of a member that is false on the last page; without it, the last page has no cursor.
    """

    param: str
    path: str
    has_more: str = ""
    repeats = False

    def start(self, url: httpx.URL) -> httpx.URL:
        """Return the URL itself."""
        return url

    def after(self, response: PageResponse) -> httpx.URL | None:
        """Return the URL with the cursor."""
        cursor = _in_envelope(response, self.path)
        if cursor in (None, "") or (self.has_more and not _in_envelope(response, self.has_more)):
            return None
        return response.url.copy_set_param(self.param, str(cursor))


@dataclass(frozen=True)
class PageNumber:
    """A parameter has the page's number. The last page is empty, has fewer rows than `size`, or says so.

    Attributes:
        param: parameter for the number.
        first: number of the first page.
        size: rows of a page. Give it only if the API never sends fewer, but on the last page.
        size_param: parameter for `size`.
        has_more: path of a member that is false on the last page.
    """

    param: str = "page"
    first: int = 1
    size: int | None = None
    size_param: str = ""
    has_more: str = ""
    repeats = True

    def start(self, url: httpx.URL) -> httpx.URL:
        """Return the URL with the first number."""
        if self.size is not None and self.size_param:
            url = url.copy_set_param(self.size_param, self.size)
        return url.copy_set_param(self.param, self.first)

    def after(self, response: PageResponse) -> httpx.URL | None:
        """Return the URL with the next number."""
        if _is_last(response, self.size, self.has_more):
            return None
        return response.url.copy_set_param(self.param, int(response.url.params[self.param]) + 1)


@dataclass(frozen=True)
class Offset:
    """A parameter has the number of rows before the page. The last page is empty, or says that it is the last.

    It goes on by the rows received, so an API that sends fewer than `limit` loses none.

    Attributes:
        param: parameter for the offset.
        limit_param, limit: parameter for the most rows of a page, and its value.
        short_page_ends: whether a page of fewer than `limit` rows is the last: one request less, but only for an API
            that does not lower the limit.
        has_more: path of a member that is false on the last page.
    """

    param: str = "offset"
    limit_param: str = "limit"
    limit: int = 500
    short_page_ends: bool = False
    has_more: str = ""
    repeats = True

    def start(self, url: httpx.URL) -> httpx.URL:
        """Return the URL with offset 0."""
        return url.copy_merge_params({self.param: 0, self.limit_param: self.limit})

    def after(self, response: PageResponse) -> httpx.URL | None:
        """Return the URL with the next offset."""
        if _is_last(response, self.limit if self.short_page_ends else None, self.has_more):
            return None
        offset = int(response.url.params[self.param]) + response.rows
        return response.url.copy_set_param(self.param, offset)


def require_same_origin(label: str, base: httpx.URL, url: httpx.URL) -> None:
    """Raise if a page is on another host, which would receive the token.

    Raises:
        ApiRefusedError: another scheme, host or port.
    """
    if (url.scheme, url.host, url.port) != (base.scheme, base.host, base.port):
        shown = f"{url.scheme}://{url.netloc.decode('ascii', 'replace').rpartition('@')[2]}"
        raise ApiRefusedError(
            labelled(label, f"the next page is on another host: {shown[:200]}."),
            hint="The token is never sent to another host; give the host that the links name as the URL.",
        )


def _linked(base: httpx.URL, target: object) -> httpx.URL | None:
    if target in (None, "", False):
        return None
    try:
        return base.join(str(target))
    except (httpx.InvalidURL, ValueError) as error:
        raise IncompleteResponseError(f"The next page's link is not a URL: {error}.") from error


def _in_envelope(response: PageResponse, path: str) -> Any:  # noqa: ANN401
    envelope = response.envelope
    if isinstance(envelope, dict) and path in envelope:
        return envelope[path]  # a name with dots, such as OData's `@odata.nextLink`
    return value_at(envelope, path.split("."))


def _is_last(response: PageResponse, size: int | None, has_more: str) -> bool:
    if response.rows == 0:
        return True
    if has_more:
        return not _in_envelope(response, has_more)
    return size is not None and response.rows < size
