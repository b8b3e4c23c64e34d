"""The example of a second source: daily orders from a paginated API."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI, Request, Response

from examples.orders.contract import ORDERS, ORDERS_REJECTED, Order
from examples.orders.envelope import members
from examples.orders.fake_api import create_app
from examples.orders.pipeline import OrdersApiResource, defs, raw_orders, validated_orders
from examples.orders.source import OrdersApi
from purchase_pipeline.feeds.resources import FeedIOManager, LandingResource
from purchase_pipeline.ingest.purchase_api import (
    ApiRefusedError,
    ApiUnavailableError,
    IncompleteResponseError,
)
from purchase_pipeline.ingest.row_splitter import UnreadableResponseError
from purchase_pipeline.ingest.validation import RowValidation
from purchase_pipeline.postgres.slices.ledger import ledger_table
from purchase_pipeline_tests.serving import served

pytestmark = [pytest.mark.proof, pytest.mark.compatibility]

PROJECT = Path(__file__).parent.parent
PAGE = (PROJECT / "docs" / "your-own-api.md").read_text()
DAY, NEXT_DAY = "2026-01-05", "2026-01-06"
AMOUNT = 'must be an amount above 0 with at most two decimals, as text: "129.90"'
MOMENT = "must be a timestamp from 1970 on, with time zone: 2026-01-05T09:00:00+01:00"
Load = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def load(database_url: str, tmp_path: Path) -> Load:
    """Loads one day from an API into the test's database."""

    def load(url: str, day: str = DAY) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [raw_orders, validated_orders],
            partition_key=day,
            resources={
                "orders_api": OrdersApiResource(base_url=url, attempts=2),
                "landing": LandingResource(location=str(tmp_path)),
                "io_manager": FeedIOManager(database_url=database_url),
            },
            raise_on_error=False,
        )

    return load


def rows_of(engine: sa.Engine, table: sa.Table, day: str = DAY) -> list[tuple[object, ...]]:
    columns = [column for column in table.columns if column.name not in {"first_seen", "run_id"}]
    query = sa.select(*columns).where(table.c.day == day).order_by(table.c.position)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def counts(engine: sa.Engine, day: str = DAY) -> tuple[int, int]:
    return len(rows_of(engine, ORDERS, day)), len(rows_of(engine, ORDERS_REJECTED, day))


def an_api(orders: list[dict[str, Any]], page_rows: int = 2) -> FastAPI:
    """Return an API with these orders on every day."""
    app = FastAPI()

    @app.get("/orders")
    def page(day: str, page: int = 1) -> dict[str, Any]:
        last = page * page_rows
        more = f"/orders?day={day}&page={page + 1}" if last < len(orders) else None
        return {"items": orders[last - page_rows : last], "next": more}

    return app


def an_order(**fields: object) -> dict[str, Any]:
    return {
        "order_id": "A-1",
        "customer": {"name": "Ada Lovelace", "country": "GB"},
        "amount": "129.90",
        "placed_at": "2026-01-05T23:30:00-02:00",
        "status": "paid",
        **fields,
    }


def failing(app: FastAPI, page: str, times: int) -> FastAPI:
    """Make a page respond with 503 a number of times."""
    left = [times]

    @app.middleware("http")
    async def fail(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.query_params.get("page") == page and left[0]:
            left[0] -= 1
            return Response(status_code=503)
        return await answer(request)

    return app


@contextmanager
def orders_api(app: FastAPI, attempts: int = 1) -> Iterator[OrdersApi]:
    with served(app) as url, httpx.Client(base_url=url) as client:
        yield OrdersApi(client, attempts=attempts)


def test_an_order_becomes_a_row_with_the_customer_flattened_and_the_instant_kept(
    load: Load, engine: sa.Engine
) -> None:
    orders = [an_order(), an_order(order_id="A-2", note="Ring twice"), an_order(order_id="A-3", note=None)]

    with served(an_api(orders)) as url:
        result = load(url)

    assert result.success
    same = ("Ada Lovelace", "GB", Decimal("129.90"), datetime(2026, 1, 6, 1, 30, tzinfo=UTC), "paid")
    assert rows_of(engine, ORDERS) == [
        (DAY, 1, "A-1", *same, None),
        (DAY, 2, "A-2", *same, "Ring twice"),
        (DAY, 3, "A-3", *same, None),
    ]
    assert rows_of(engine, ORDERS_REJECTED) == []


def test_an_invalid_order_is_kept_as_sent_with_every_reason(load: Load, engine: sa.Engine) -> None:
    app = create_app(invalid_every=30)
    with orders_api(app) as api:
        originals = api.fetch_day(DAY)
    with served(app) as url:
        result = load(url)

    assert result.success
    told = [
        (30, ["amount"], [f"amount: {AMOUNT} (saw 'free')"]),
        (60, ["status"], ["status: Input should be 'placed', 'paid', 'shipped' or 'cancelled' (saw 'lost')"]),
        (90, ["customer.country"], ["customer.country: Field required"]),
        (120, ["placed_at"], [f"placed_at: {MOMENT} (saw '2026-01-01T09:00:00')"]),
    ]
    assert rows_of(engine, ORDERS_REJECTED) == [
        (
            DAY,
            position,
            fields,
            reasons,
            originals[position - 1].decode(),
            hashlib.sha256(originals[position - 1]).hexdigest(),
        )
        for position, fields, reasons in told
    ]


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({"amount": 129.9}, [f"amount: {AMOUNT} (saw 129.9)"]),
        ({"amount": "0.00"}, [f"amount: {AMOUNT} (saw '0.00')"]),
        ({"amount": "1.999"}, [f"amount: {AMOUNT} (saw '1.999')"]),
        ({"placed_at": "1767600000"}, [f"placed_at: {MOMENT} (saw '1767600000')"]),
        (
            {"customer": None, "note": 7},
            ["customer.name: Field required", "customer.country: Field required"],
        ),
        ({"colour": "red"}, ["colour: Extra inputs are not permitted (saw 'red')"]),
    ],
)
def test_nearly_valid_values_are_rejected(fields: dict[str, object], reasons: list[str]) -> None:
    validation = RowValidation(DAY, received=1, max_rejected_ratio=2, today=date(2026, 1, 5), contract=Order)

    assert list(validation.accepted([json.dumps(an_order(**fields)).encode()])) == [[]]

    assert validation.rejected[0].reasons[: len(reasons)] == reasons


def test_two_days_are_two_slices_and_every_order_is_loaded_or_rejected(load: Load, engine: sa.Engine) -> None:
    with served(create_app()) as url:
        results = [load(url, day) for day in (DAY, NEXT_DAY)]

    assert all(result.success for result in results)
    ledger = ledger_table()
    with engine.connect() as connection:
        slices = connection.execute(
            sa.select(ledger.c.partition, ledger.c.asset, ledger.c.source_rows, ledger.c.rows).order_by(
                ledger.c.partition, ledger.c.asset
            )
        ).all()
        transactions = connection.execute(sa.text("SELECT DISTINCT xmin::text FROM slice_ledger")).all()
    assert slices == [
        (DAY, "orders", 120, 117),
        (DAY, "orders_rejected", 120, 3),
        (NEXT_DAY, "orders", 120, 117),
        (NEXT_DAY, "orders_rejected", 120, 3),
    ]
    assert len(transactions) == 2
    both = rows_of(engine, ORDERS) + rows_of(engine, ORDERS_REJECTED)
    assert sorted(int(str(row[1])) for row in both) == list(range(1, 121))


def test_a_day_loaded_again_has_the_same_rows_once(load: Load, engine: sa.Engine) -> None:
    with served(create_app()) as url:
        load(url)
        first = rows_of(engine, ORDERS), rows_of(engine, ORDERS_REJECTED)

        assert load(url).success

    assert (rows_of(engine, ORDERS), rows_of(engine, ORDERS_REJECTED)) == first


@pytest.mark.parametrize(("orders", "loaded"), [(121, 118), (171, 167), (0, 0)], ids=["row", "page", "none"])
def test_a_day_with_another_number_of_orders_is_replaced(
    load: Load, engine: sa.Engine, orders: int, loaded: int
) -> None:
    with served(create_app()) as url:
        load(url)
        load(url, NEXT_DAY)
    with served(create_app(orders_a_day=orders)) as url:
        assert load(url).success

    assert counts(engine) == (loaded, orders - loaded)
    assert counts(engine, NEXT_DAY) == (117, 3)


def test_a_day_with_a_failing_page_is_not_replaced(load: Load, engine: sa.Engine) -> None:
    with served(create_app()) as url:
        load(url)
        before = rows_of(engine, ORDERS), rows_of(engine, ORDERS_REJECTED)
    with served(failing(create_app(orders_a_day=170), page="2", times=99)) as url:
        assert not load(url).success

    assert (rows_of(engine, ORDERS), rows_of(engine, ORDERS_REJECTED)) == before


def test_a_page_that_fails_once_is_retried(load: Load, engine: sa.Engine) -> None:
    with served(failing(create_app(), page="2", times=1)) as url:
        assert load(url).success

    assert counts(engine) == (117, 3)


def test_a_day_with_too_many_invalid_orders_is_not_replaced(load: Load, engine: sa.Engine) -> None:
    with served(create_app()) as url:
        load(url)
    with served(create_app(invalid_every=10)) as url:
        assert not load(url).success

    assert counts(engine) == (117, 3)


def test_a_client_error_is_not_retried() -> None:
    with orders_api(create_app(), attempts=5) as api, pytest.raises(ApiRefusedError, match="422"):
        api.fetch_day("yesterday")


@pytest.mark.parametrize(
    ("following", "error"),
    [
        ("/orders?day=2026-01-05", IncompleteResponseError),
        ("http://elsewhere.example/orders?day=2026-01-05&page=2", ApiRefusedError),
    ],
    ids=["circle", "other host"],
)
def test_an_invalid_next_page_is_not_followed(following: str, error: type[Exception]) -> None:
    app = FastAPI()

    @app.get("/orders")
    def orders() -> dict[str, object]:
        return {"items": [], "next": following}

    with orders_api(app) as api, pytest.raises(error, match="next"):
        api.fetch_day(DAY)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'{"next": null}',
        b'{"items": []}',
        b'{"items": [], "next": null',
        b'{"items": 7, "next": null}',
    ],
)
def test_a_response_that_is_not_a_page_is_retried(body: bytes) -> None:
    app = FastAPI()

    @app.get("/orders")
    def orders() -> Response:
        return Response(body, media_type="application/json")

    with orders_api(app) as api, pytest.raises(IncompleteResponseError, match="a page of orders"):
        api.fetch_day(DAY)


def test_an_unreachable_api_is_retried() -> None:
    with httpx.Client(base_url="http://127.0.0.1:9") as client, pytest.raises(ApiUnavailableError):
        OrdersApi(client, attempts=1).fetch_day(DAY)


def test_an_envelope_keeps_each_value_byte_for_byte() -> None:
    items = b'[ {"a" : 1.50, "b":"\xff\\ud800"} ,\n{"items":[NaN]}]'

    assert members(b' {"meta":{"items":3}, "items" : ' + items + b' ,"n\\u0065xt":null}\n') == {
        "meta": b'{"items":3}',
        "items": items,
        "next": b"null",
    }


@pytest.mark.parametrize("body", [b"", b"{}x", b'{"a":1', b'{"a":}', b'{"a":1}{"b":2}', b'{"a":1]'])
def test_an_incomplete_object_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableResponseError):
        members(body)


def renamed(name: str) -> str:
    """Return a file of the example under the name of its copy on the page."""
    text = (PROJECT / "examples" / "orders" / name).read_text()
    for rule in re.findall(r"s/(\w+)/(\w+)/g", PAGE):
        text = text.replace(*rule)
    return text


def test_the_row_on_the_page_is_valid_for_the_contract_on_the_page() -> None:
    (row,) = re.findall(r"```json\n(.*)\n```", PAGE)
    (fields,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    head, _, rest = renamed("contract.py").partition("    loan_id:")
    program = f"{head}{fields}\n\n{rest[rest.index('TABLES =') :]}"
    imports = "from datetime import date\nfrom purchase_pipeline.contracts import BigInteger, Money\n"
    module: dict[str, Any] = {"__name__": "loans"}

    exec(imports + program, module)  # noqa: S102  (the program on the page)

    loan = module["Loan"].model_validate_json(row)
    assert loan.model_dump() == {
        "loan_id": 7,
        "isbn": "978-0",
        "title": "Emma",
        "lent_at": datetime(2026, 1, 5, 9, tzinfo=UTC),
        "due": date(2026, 1, 19),
        "fee": Decimal("1.5"),
    }
    assert module["LOANS"].columns.keys() == ["day", "position", *loan.model_dump()]


def test_each_line_that_the_page_changes_is_in_the_copy() -> None:
    lines = re.findall(r"^\| (?:route|rows|next page) \| `(.*?)` \|", PAGE, re.MULTILINE)

    assert len(lines) == 3
    assert all(renamed("source.py").count(line.replace("\\|", "|")) == 1 for line in lines)


def test_the_definitions_load_without_any_request() -> None:
    keys = defs.get_repository_def().asset_graph.get_all_asset_keys()

    assert {key.to_user_string() for key in keys} == {"raw_orders", "orders", "orders_rejected"}
