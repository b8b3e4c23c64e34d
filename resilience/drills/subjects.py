"""The feeds on which a drill may be done: how each is started, what its API sends, and what its tables must hold."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import httpx
from starlette.types import ASGIApp

from examples.orders.fake_api import create_app as orders_api
from mock_api.app import create_app as purchase_api
from purchase_pipeline.ingest.tables import FeedTables
from purchase_pipeline.purchases import PURCHASES as PURCHASE_TABLES
from resilience.drills import few_orders
from resilience.drills.content import Version, fetch_version, sha256_of

_ROWS, _DEFECTS = 10_000, 0.01
_PAGE_ROWS = 4_000


@dataclass(frozen=True)
class Subject:
    """A feed with two partitions, as many as Dagster runs at a time.

    Attributes:
        api: makes its API.
        parameter: of a request, with its partition.
        version: a key whose rows the API may send for a partition: others for each number.
        fetch_version: what the tables must hold of a key, by its API's own response.
    """

    partitions: tuple[str, str]
    words: tuple[str, ...]
    module: str | None
    url_variable: str
    tables: FeedTables
    job: str
    raw_asset: str
    api: Callable[[], ASGIApp]
    parameter: str
    version: Callable[[str, int], str]
    fetch_version: Callable[[str, str], Version]


def _purchases_of(api_url: str, lote: str) -> Version:
    return fetch_version(api_url, lote, _ROWS, _DEFECTS)


def _orders_of(api_url: str, day: str) -> Version:
    content, rows, path = b"", list[bytes](), f"/orders?day={day}"
    while path:
        response = httpx.get(f"{api_url}{path}", timeout=60, trust_env=False).raise_for_status()
        page, content = response.json(), content + response.content
        rows += [json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode() for row in page["items"]]
        path = page["next"]
    tables = few_orders.orders.tables
    return Version(f"sha256:{sha256_of(content)}", rows, round(_ROWS * _DEFECTS), tables, _order_as_stored)


def _order_as_stored(raw: bytes) -> tuple[str | None, ...]:
    order = json.loads(raw)
    placed_at = datetime.fromisoformat(order["placed_at"]) - timedelta(hours=1)  # +01:00 in UTC
    return (
        order["order_id"],
        order["customer"]["name"],
        order["customer"]["country"],
        f"{Decimal(order['amount']):.2f}",
        f"{placed_at:%Y-%m-%d %H:%M:%S}+00",
        order["status"],
        order.get("note"),
    )


def _other_day(day: str, number: int) -> str:
    return str(date.fromisoformat(day) + timedelta(days=1000 * number))


PURCHASES = Subject(
    partitions=("lote-0001", "lote-0002"),
    words=("--lots", "2", "--rows", str(_ROWS), "--every", "1"),
    module=None,
    url_variable="PURCHASE_API_URL",
    tables=PURCHASE_TABLES,
    job="ingest_lote",
    raw_asset="raw_purchases",
    api=lambda: purchase_api(defects=_DEFECTS),
    parameter="lote",
    version="{}.{}".format,
    fetch_version=_purchases_of,
)
ORDERS = Subject(
    partitions=few_orders.DAYS,
    words=(),
    module=few_orders.__name__,
    url_variable="ORDERS_API_URL",
    tables=few_orders.orders.tables,
    job=few_orders.orders.job,
    raw_asset=few_orders.orders.raw_asset,
    api=lambda: orders_api(_ROWS, _PAGE_ROWS, round(1 / _DEFECTS)),
    parameter="day",
    version=_other_day,
    fetch_version=_orders_of,
)
