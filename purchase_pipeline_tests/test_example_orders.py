"""The example of a second feed: daily orders from a paginated API."""

import json
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import SecretStr

from examples.orders.fake_api import create_app
from examples.orders.pipeline import orders
from purchase_pipeline.feeds.testing import check_feed
from purchase_pipeline.settings import Settings
from purchase_pipeline_tests.serving import served

# Dagster's, for the checks of a time window.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning")

DAY = "2026-01-05"
ACCEPTED, REJECTED = orders.tables.both
MOMENT = "must be a timestamp from 1970 on, with time zone: 2026-01-05T09:00:00+01:00"
Load = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def load(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads one day from an API into the test's database, by the feed's job."""
    settings = Settings(database_url=SecretStr(database_url), landing=str(tmp_path))
    job = orders.definitions(settings).resolve_job_def(orders.job)

    def load(app: FastAPI, *, refetch: bool = False) -> dg.ExecuteInProcessResult:
        config = {"ops": {"raw_orders": {"config": {"refetch": refetch}}}}
        with served(app) as url:
            monkeypatch.setenv("ORDERS_API_URL", url)
            return job.execute_in_process(partition_key=DAY, run_config=config, raise_on_error=False)

    return load


def rows_of(engine: sa.Engine, table: sa.Table) -> list[tuple[object, ...]]:
    columns = [column for column in table.columns if column.name not in {"first_seen", "run_id"}]
    with engine.connect() as connection:
        query = sa.select(*columns).order_by(table.c.partition_key, table.c.row_number)
        return [tuple(row) for row in connection.execute(query)]


def counts(engine: sa.Engine) -> tuple[int, int]:
    return len(rows_of(engine, ACCEPTED)), len(rows_of(engine, REJECTED))


def an_api_whose_next_page_is(link: str) -> FastAPI:
    app = FastAPI()

    @app.get("/orders")
    def page() -> dict[str, object]:
        return {"items": [], "next": link}

    return app


def answer_of(app: FastAPI, day: str, pages: int) -> list[bytes]:
    """The pages of a day, as the API sends them."""
    with served(app) as url:
        return [httpx.get(f"{url}/orders?day={day}&page={number}").content for number in range(1, pages + 1)]


def test_pages_are_followed_and_each_order_is_loaded_or_rejected(server_url: str) -> None:
    answers = {day: answer_of(create_app(page_rows=50), day, 3) for day in (DAY, "2026-01-06")}

    report = check_feed(orders, answers, server_url)

    assert report.partitions == dict.fromkeys(answers, (120, 117, 3))


def test_an_invalid_order_is_kept_as_sent_with_its_reason(server_url: str) -> None:
    (page,) = answer_of(create_app(page_rows=1000, invalid_every=30), DAY, 1)

    report = check_feed(orders, {DAY: page}, server_url)

    sent = json.loads(page)["items"]
    reasons = {
        30: "amount: Input should be a valid decimal (saw 'free')",
        60: "status: Input should be 'placed', 'paid', 'shipped' or 'cancelled' (saw 'lost')",
        90: "customer.country: Field required",
        120: f"placed_at: {MOMENT} (saw '2026-01-01T09:00:00')",
    }
    assert [(row.row_number, row.reasons) for row in report.rejects] == [
        (number, [reason]) for number, reason in reasons.items()
    ]
    assert [json.loads(row.original) for row in report.rejects] == [sent[number - 1] for number in reasons]


def test_a_day_requested_again_replaces_its_rows(load: Load, engine: sa.Engine) -> None:
    load(create_app())

    assert load(create_app(orders_a_day=79), refetch=True).success

    assert counts(engine) == (78, 1)


def test_a_landed_day_is_loaded_again_without_a_request(load: Load, engine: sa.Engine) -> None:
    load(create_app())
    before = rows_of(engine, ACCEPTED), rows_of(engine, REJECTED)

    assert load(FastAPI()).success  # responds 404

    assert (rows_of(engine, ACCEPTED), rows_of(engine, REJECTED)) == before


@pytest.mark.parametrize(
    ("app", "error"),
    [
        (create_app(invalid_every=10), "rows were rejected"),
        (
            an_api_whose_next_page_is("http://elsewhere.example/orders?page=2"),
            "the next page is on another host",
        ),
    ],
    ids=["too many rejected rows", "another host"],
)
def test_a_day_that_fails_keeps_its_rows(load: Load, engine: sa.Engine, app: FastAPI, error: str) -> None:
    load(create_app())

    result = load(app, refetch=True)

    assert not result.success
    (failure,) = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    assert error in str(failure)
    assert counts(engine) == (117, 3)


def test_the_checks_pass(load: Load) -> None:
    checks = load(create_app(invalid_every=50)).get_asset_check_evaluations()

    assert {check.check_name: check.passed for check in checks} == {
        "every_row_is_loaded_or_rejected": True,
        "row_numbers_are_gap_free": True,
        "tables_match_the_contract": True,
        "rejected_rate_is_low": True,
    }
