"""What is wrong with the attributes of an HTTP source, reported when a feed declares it."""

import re
from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING, Any

import httpx

from purchase_pipeline.ingest.formats import Json
from purchase_pipeline.ingest.sources.pages import Cursor, NextLink
from purchase_pipeline.ingest.sources.variables import Deferred
from purchase_pipeline.settings import require_rate

if TYPE_CHECKING:
    from purchase_pipeline.ingest.sources.http import HttpSource

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRETS = ("token", "key", "username", "password", "client_id", "client_secret")
_LAST_PORT = 65_535


def problem_of(source: "HttpSource") -> str:
    """Return the first problem, with what is accepted; "" if there is none."""
    return next(_problems(source), "")


def _problems(source: "HttpSource") -> Iterator[str]:
    if not isinstance(source.url, Deferred) and not (
        _VARIABLE.fullmatch(source.url) or _is_http_url(source.url)
    ):
        yield "url must be http://host:port or https://host/path, or the name of the variable with it"
    if not re.fullmatch("[A-Za-z]+", source.method):
        yield f"method is {source.method!r}; expected GET, POST, ..."
    yield from _problems_of_numbers(source)
    yield from _problems_of_names(source)
    for name, values in source.for_each.items():
        if isinstance(values, str) or not values:
            yield f"for_each: {name} is {values!r}; expected a list of at least one value"
    if source.rows and source.format is not None:
        yield "give the rows' path either as rows='items' or in format=Json(rows='items')"
    has_envelope = source.rows or (isinstance(source.format, Json) and source.format.rows)
    needs_envelope = isinstance(source.pages, NextLink | Cursor) or getattr(source.pages, "has_more", None)
    if needs_envelope and not has_envelope:
        yield f"{source.pages} reads the JSON around the rows: give the rows' path, as rows='items'"


def _problems_of_numbers(source: "HttpSource") -> Iterator[str]:
    if source.rate is not None:
        try:
            require_rate(source.rate)
        except ValueError as error:
            yield f"rate is {source.rate!r}; it {error}"
    for name in ("timeout_seconds", "connect_timeout_seconds", "read_timeout_seconds"):
        if not 0 < getattr(source, name) < inf:
            yield f"{name} is {getattr(source, name)!r}; expected seconds, above 0"
    if not 0 <= source.longest_wait_seconds < inf:
        yield f"longest_wait_seconds is {source.longest_wait_seconds!r}; expected seconds, from 0"
    if not source.attempts >= 1:
        yield f"attempts is {source.attempts!r}; expected a number from 1"
    for name in ("size", "limit"):
        rows = getattr(source.pages, name, None)
        if rows is not None and not rows >= 1:
            yield f"pages: {name} is {rows!r}; expected a number of rows, from 1"
    if getattr(source.pages, "size_param", "") and source.pages.size is None:  # type: ignore[attr-defined]
        yield "pages: size_param is for size, which is not given"


def _problems_of_names(source: "HttpSource") -> Iterator[str]:
    """Check names of variables, without quoting them: one may be the secret itself."""
    named: dict[str, Any] = {f"auth: {name}": getattr(source.auth, name, None) for name in _SECRETS}
    for name, variable in {**named, "redis_url": source.redis_url}.items():
        if not isinstance(variable, Deferred | None) and not _VARIABLE.fullmatch(variable):
            yield f"{name} must be the name of an environment variable, which is read when it is used"


def _is_http_url(text: str) -> bool:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        return False
    return url.scheme in {"http", "https"} and bool(url.host) and 0 < (url.port or 1) <= _LAST_PORT
