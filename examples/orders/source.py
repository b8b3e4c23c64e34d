"""The orders API as the example sees it: a day's orders, page by page."""

import json
from typing import NamedTuple

import httpx

from examples.orders.envelope import members
from purchase_pipeline.ingest.purchase_api import (
    ApiRefusedError,
    ApiUnavailableError,
    IncompleteLotError,
    raise_for_status,
    retrying_api,
)
from purchase_pipeline.ingest.row_splitter import RawFormat, UnreadableLotError, split_rows


class _Page(NamedTuple):
    orders: list[bytes]
    next_page: str | None


class OrdersApi:
    """Fetches the orders of a day over HTTP. Knows the route and the envelope; knows nothing of Dagster."""

    def __init__(
        self, client: httpx.Client, *, attempts: int = 5, page_timeout_seconds: float = 120.0
    ) -> None:
        self._client = client
        self._retrying = retrying_api(attempts, page_timeout_seconds)

    def fetch_day(self, day: str) -> list[bytes]:
        """Return each order as its own JSON text, as sent, page after page; each page is tried again alone.

        Raises:
            ApiUnavailableError: a page's last failure.
            ApiRefusedError: a 4xx, or a next page at another host, at once.
        """
        orders, seen = list[bytes](), set[str]()
        next_page: str | None = f"/orders?day={day}"
        while next_page is not None:
            if next_page in seen:
                raise IncompleteLotError(
                    f"{day}: {next_page} names itself, or a page before it, as the next."
                )
            # Whoever is asked is sent our token.
            if httpx.URL(next_page).host not in {"", self._client.base_url.host}:
                raise ApiRefusedError(f"{day}: the next page is said to be at another host: {next_page}.")
            seen.add(next_page)
            page: _Page = self._retrying(self._fetch_page, day, next_page)
            orders += page.orders
            next_page = page.next_page
        return orders

    def _fetch_page(self, day: str, path: str) -> _Page:
        try:
            response = self._client.get(path)
            raise_for_status(day, response)
            envelope = members(response.content)
            return _Page(
                orders=list(split_rows(RawFormat.JSON_ARRAY, [envelope["items"]])),
                next_page=json.loads(envelope["next"]),
            )
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise ApiUnavailableError(f"{day}: no whole answer to {path} ({error!r}).") from error
        except (UnreadableLotError, KeyError) as error:
            raise IncompleteLotError(
                f"{day}: {path} did not answer with a page of orders ({error!r})."
            ) from error
