"""Client of the orders API: one day's orders, page by page."""

import json
from typing import NamedTuple

import httpx

from examples.orders.envelope import members
from purchase_pipeline.ingest.formats import JSON_ARRAY, split_rows
from purchase_pipeline.ingest.row_splitter import UnreadableResponseError
from purchase_pipeline.ingest.sources.errors import (
    ApiRefusedError,
    ApiUnavailableError,
    IncompleteResponseError,
    raise_for_status,
)
from purchase_pipeline.ingest.sources.waits import retrying


class _Page(NamedTuple):
    orders: list[bytes]
    next_page: str | None


class OrdersApi:
    """Fetches the orders of a day over HTTP. Does not depend on Dagster."""

    def __init__(
        self, client: httpx.Client, *, attempts: int = 5, page_timeout_seconds: float = 120.0
    ) -> None:
        self._client = client
        self._retrying = retrying(ApiUnavailableError, attempts, page_timeout_seconds)

    def fetch_day(self, day: str) -> list[bytes]:
        """Return the JSON text of each order, as sent, from all pages; each page is retried separately.

        Raises:
            ApiUnavailableError: all attempts for a page failed.
            ApiRefusedError: a 4xx status, or a next page on another host; not retried.
        """
        orders, seen = list[bytes](), set[str]()
        next_page: str | None = f"/orders?day={day}"
        while next_page is not None:
            if next_page in seen:
                raise IncompleteResponseError(
                    f"{day}: the next page of {next_page} is a page that was already read."
                )
            # Do not send the token to another host.
            if httpx.URL(next_page).host not in {"", self._client.base_url.host}:
                raise ApiRefusedError(f"{day}: the next page is on another host: {next_page}.")
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
                orders=list(split_rows(JSON_ARRAY, [envelope["items"]])),
                next_page=json.loads(envelope["next"]),
            )
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise ApiUnavailableError(f"{day}: incomplete or no response to {path} ({error!r}).") from error
        except (UnreadableResponseError, KeyError) as error:
            raise IncompleteResponseError(
                f"{day}: the response to {path} is not a page of orders ({error!r})."
            ) from error
