"""How the pages of a response continue: candidates by its links, its envelope and its URL, tried on the API."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from purchase_pipeline.feeds.new.response import Found, Received, follows, members_of
from purchase_pipeline.feeds.new.shape import Shape
from purchase_pipeline.ingest.formats import Json
from purchase_pipeline.ingest.sources.http import HttpSource
from purchase_pipeline.ingest.sources.pages import (
    Cursor,
    LinkHeader,
    NextLink,
    NoPages,
    Offset,
    PageNumber,
    Pages,
)
from purchase_pipeline.ingest.sources.request import PartitionRequest

_LINK = r"next_?(page)?_?(url|link|href|uri)?"
_CURSOR = r"(next_?\w*|end_?cursor|cursor|after|continuation\w*|scroll_?id|marker)"
_MORE = r"has_?(more|next|next_?page)|more"
_PAGE = r"(current_?)?page(_?(number|no|index))?|p"
_OFFSET = r"\$?(offset|skip|start|start_?at)"
_LIMIT = r"\$?(limit|top|take|count|max_?results|size|(per_?page|page_?size))"
_ROUND = {10, 20, 25, 30, 50, 100, 200, 250, 500, 1000}
_MOST_TRIED = 3


def pages_of(received: Received, shape: Shape, source: HttpSource, request: PartitionRequest) -> Found:
    """Return how pages continue; a candidate is tried by requesting the first two pages of the partition."""
    unsure, refuted = list[Found](), ""
    for pages, why in list(_candidates(received, shape, source))[:_MOST_TRIED]:
        outcome = follows(source, request, pages)
        if outcome:
            return Found(pages, "sure", f"{why}; the second page has other rows")
        if outcome is None:
            unsure.append(Found(pages, "guess", f"{why}; this response is the last page"))
        refuted = refuted or why
    if unsure:
        return unsure[0]
    if refuted:
        return Found(NoPages(), "guess", f"{refuted}, but a second page was not confirmed")
    return Found(NoPages(), "likely", "no sign of more pages")


def with_pages(source: HttpSource, pages: Pages) -> HttpSource:
    """Return the source with its pages, and without the parameters that they set."""
    own = {getattr(pages, name, "") for name in ("param", "limit_param")}
    return replace(
        source, pages=pages, params={name: each for name, each in source.params.items() if name not in own}
    )


def _candidates(received: Received, shape: Shape, source: HttpSource) -> Iterator[tuple[Pages, str]]:
    if "next" in received.page.links:
        yield LinkHeader(), "the response has a Link header"
    members = {path: each for path, each in members_of(shape.envelope) if not isinstance(each, dict | list)}
    more, in_url, rows = _named(members, _MORE, bool), source.params, shape.count
    for path, value in members.items():
        is_link = isinstance(value, str) and re.match(r"https?://|/|\?", value)
        if _fits(path, _LINK) and (is_link or value in (None, "")):
            yield NextLink(path), f"{path} is {'a link' if value else 'empty'}"
        elif _fits(path, _CURSOR) and not (is_link or value in (None, "") or isinstance(value, bool)):
            yield Cursor(_param(path, in_url), path, more), f"{path} is a cursor"
    if param := _named(in_url, _PAGE):
        first = int(in_url[param]) if str(in_url[param]).isdecimal() else 1
        yield PageNumber(param, first, has_more=more), f"the URL has {param}"
    elif path := _named(members, _PAGE, int):
        yield PageNumber(_param(path, in_url), int(str(members[path])), has_more=more), f"{path} is a number"
    if path := _named(in_url, _OFFSET) or _named(members, _OFFSET, int):
        limit = _named(in_url, _LIMIT) or _param(_named(members, _LIMIT, int) or "limit", in_url)
        yield Offset(_param(path, in_url), limit, rows, has_more=more), f"there is {path}"
    if isinstance(shape.row_format, Json) and (rows in _ROUND or str(rows) in in_url.values()):
        yield PageNumber(), f"{rows} rows may be a full page"


def _fits(path: str, pattern: str) -> bool:
    name = path.removesuffix(".href").rpartition(".")[2]  # `_links.next.href`
    return re.fullmatch(pattern, name, re.IGNORECASE) is not None


def _named(values: Mapping[str, object], pattern: str, of: type | None = None) -> str:
    """Return the first path that fits, of a value of a type; empty if there is none."""
    return next(
        (path for path, each in values.items() if _fits(path, pattern) and of in (None, type(each))), ""
    )


def _param(path: str, in_url: Mapping[str, object]) -> str:
    """Return the parameter for a member: `pageToken` for `meta.nextPageToken`, `page` for `current_page`."""
    name = re.sub(r"^(next|current|end)_?(?=.)", "", path.rpartition(".")[2], flags=re.IGNORECASE)
    name = name[:1].lower() + name[1:]
    name = "cursor" if name == "next" else name
    return next((each for each in in_url if each.lower() == name.lower()), name)
