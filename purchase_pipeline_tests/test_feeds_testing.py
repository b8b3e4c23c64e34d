"""The tests kit for feeds: good feeds pass it, and each of its rules catches a feed that breaks it."""

import gzip
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
import pytest
import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from purchase_pipeline import PipelineError
from purchase_pipeline.contracts import Date, DecimalComma, DecimalOf, FromRequest, Moment, Text
from purchase_pipeline.feeds import (
    BearerToken,
    Csv,
    Cursor,
    Feed,
    FunctionSource,
    HttpSource,
    LinkHeader,
    NextLink,
    Offset,
    PageNumber,
    PartitionRequest,
)
from purchase_pipeline.feeds.resources import FeedIOManager, fixed
from purchase_pipeline.feeds.testing import FeedReport, PartitionReport, Reject, check_feed
from purchase_pipeline.feeds.testing.answers import Answer
from purchase_pipeline.ingest.sources.request import AddPage
from purchase_pipeline.postgres.connections import engine_for
from purchase_pipeline.postgres.manager import PostgresDbIOManager
from purchase_pipeline.settings import Settings

DAY, NEXT_DAY = "2026-01-05", "2026-01-06"
DAYS = dg.DailyPartitionsDefinition("2026-01-01")
FREE = "amount: must be a number with at most 10 digits before the decimal point and 2 after it (saw 'free')"


class Sale(BaseModel):
    """A row."""

    sale: Text
    amount: DecimalOf(12, 2)  # type: ignore[valid-type]  # made at run time


def a_feed(contract: type[BaseModel] = Sale, **changes: Any) -> Feed:  # noqa: ANN401  (Feed's and HttpSource's types)
    """A feed of sales; what is not an attribute of a feed is one of its source."""
    of_feed: dict[str, Any] = {
        name: changes.pop(name) for name in ("partitions", "source") if name in changes
    }
    of_source: dict[str, Any] = {
        "url": dg.EnvVar("SALES_API_URL"),
        "path": "/sales/{partition_key}",
        **changes,
    }
    given: dict[str, Any] = {"source": HttpSource(**of_source), "partitions": DAYS, **of_feed}
    return Feed(name="sales", contract=contract, **given)


def a_function(rows: Callable[[PartitionRequest], Any], **changes: Any) -> Feed:  # noqa: ANN401
    return a_feed(**{"source": FunctionSource(rows), **changes})


def amounts(report: FeedReport) -> list[object]:
    return [row["amount"] for row in report.rows]


ROWS = b'[{"sale": "a", "amount": 1.50}, {"sale": "b", "amount": "free"}]'


def test_the_answer_of_a_file_is_loaded_and_reported(tmp_path: Path, server_url: str) -> None:
    file = tmp_path / "answer.json"
    file.write_bytes(ROWS)

    report = check_feed(a_feed(), {DAY: file, NEXT_DAY: b"[]"}, server_url)

    assert report == FeedReport(
        {DAY: PartitionReport(2, 1, 1), NEXT_DAY: PartitionReport(0, 0, 0)},
        [{"partition_key": DAY, "row_number": 1, "sale": "a", "amount": Decimal("1.50")}],
        [Reject(DAY, 2, ["amount"], [FREE], '{"sale": "b", "amount": "free"}')],
    )
    assert (report.received, report.loaded, report.rejected) == (2, 1, 1)


class Entry(BaseModel):
    """A row of a CSV file."""

    day: Date
    amount: DecimalComma(12, 2) = Field(validation_alias="preço")  # type: ignore[valid-type]  # made at run time
    shop: Annotated[Text, FromRequest("shop")]


CSV = 'day;preço;note\n2026-01-05;"1.234,50";"two\nlines"\n2026-01-05;muito;\n'.encode("latin-1")
FIRST = b'{"items": [{"sale": "a", "amount": 1}], "next": "https://api.example/v2/sales?page=2", "after": 7}'
LAST = b'{"items": [{"sale": "b", "amount": 2.50}], "next": null, "after": null}'
REAL: dict[str, Any] = {
    "url": "https://api.example/v2",
    "auth": BearerToken("NO_SUCH_TOKEN"),
    "rate": "1/minute",
    "rows": "items",
}


TWO_PAGES = [b'[{"sale": "a", "amount": 1}]', b'[{"sale": "b", "amount": 2}]']
LINES = b'{"sale": "a", "amount": 1}\nnot JSON\n{"sale": "b", "amount": 1e2}\n'
SHOPS = {"shop": ["rio", "são paulo"]}
IN_CSV = a_feed(Entry, path="/{shop}.csv.gz", format=Csv(delimiter=";", encoding="latin-1"), for_each=SHOPS)


@pytest.mark.parametrize(
    ("feed", "answer", "loaded"),
    [
        pytest.param(a_feed(pages=NextLink(), **REAL), [FIRST, LAST], ["1", "2.5"], id="next link"),
        pytest.param(
            a_feed(pages=Cursor("after", "after"), **REAL), [FIRST, LAST], ["1", "2.5"], id="cursor"
        ),
        pytest.param(a_feed(pages=LinkHeader()), TWO_PAGES, ["1", "2"], id="Link header"),
        pytest.param(a_feed(pages=PageNumber()), TWO_PAGES, ["1", "2"], id="page number"),
        pytest.param(a_feed(pages=Offset()), [*TWO_PAGES, b"[]"], ["1", "2"], id="offset"),
        pytest.param(a_feed(), LINES, ["1", "100"], id="NDJSON"),
        pytest.param(IN_CSV, [gzip.compress(CSV), CSV], ["1234.5", "1234.5"], id="CSV"),
        pytest.param(
            a_feed(method="POST", body=["{shop}"], for_each=SHOPS), ["[]", ROWS], ["1.5"], id="POST"
        ),
    ],
)
def test_answers_in_every_form_are_loaded(
    feed: Feed, answer: Answer, loaded: list[str], server_url: str
) -> None:
    report = check_feed(feed, {DAY: answer}, server_url)

    assert amounts(report) == list(map(Decimal, loaded))


def test_a_function_is_run_for_each_partition(server_url: str) -> None:
    def rows(request: PartitionRequest) -> list[dict[str, object]]:
        return [{"sale": request.key, "amount": number} for number in ("1.50", "free")]

    report = check_feed(a_function(rows), [DAY, NEXT_DAY], server_url)

    assert report.partitions == {DAY: PartitionReport(2, 1, 1), NEXT_DAY: PartitionReport(2, 1, 1)}


@pytest.mark.parametrize(
    ("feed", "answers"),
    [
        (a_feed(partitions=None, path="/sales"), {None: ROWS}),
        (a_function(lambda _: [{"sale": "a", "amount": 1}, {"sale": "b"}], partitions=None), [None]),
    ],
    ids=["HTTP", "function"],
)
def test_a_feed_without_partitions(feed: Feed, answers: Any, server_url: str) -> None:  # noqa: ANN401
    report = check_feed(feed, answers, server_url)

    assert report.partitions == {None: PartitionReport(2, 1, 1)}
    assert [(reject.partition, reject.row_number) for reject in report.rejects] == [(None, 2)]


def test_dynamic_partitions_are_those_of_the_answers(server_url: str) -> None:
    feed = a_feed(partitions=dg.DynamicPartitionsDefinition(name="shops"))

    assert check_feed(feed, {"rio": ROWS}, server_url).loaded == 1


def test_nothing_is_left_and_other_databases_are_not_touched(
    server_url: str, database_url: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)  # of the user's real data

    check_feed(a_feed(), {DAY: ROWS}, server_url)

    assert os.environ["DATABASE_URL"] == database_url
    with engine.connect() as connection:
        left = connection.scalars(sa.text("SELECT datname FROM pg_database WHERE datname LIKE 'feed_check%'"))
        assert list(left) == []
        assert sa.inspect(connection).get_table_names() == []


@pytest.mark.proof
def test_without_a_url_the_embedded_server_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from purchase_pipeline.settings import current_settings  # noqa: PLC0415

    monkeypatch.setenv("PURCHASE_HOME", str(tmp_path / "home"))
    current_settings.cache_clear()
    try:
        assert check_feed(a_feed(), {DAY: ROWS}).loaded == 1
    finally:
        current_settings.cache_clear()


# Feeds that break a rule.


def stamped() -> type[BaseModel]:
    class Stamped(Sale):
        """A row that says when it was validated."""

        validated_at: Moment = Field(default_factory=lambda: datetime.now(UTC))

    return Stamped


class Rounded(BaseModel):
    """A row whose amount is rounded, so that it fits."""

    sale: Text
    amount: Annotated[DecimalOf(12, 2), BeforeValidator(lambda amount: round(amount, 2))]  # type: ignore[valid-type]


class Cut(BaseModel):
    """A row whose decimals are cut off."""

    sale: Text
    amount: Annotated[float, AfterValidator(int)]


NEVER_THE_SAME = count()


def test_a_source_that_sends_other_rows_the_second_time(server_url: str) -> None:
    feed = a_function(lambda _: [{"sale": "a", "amount": next(NEVER_THE_SAME)}])

    with pytest.raises(AssertionError, match="other rows when it was called again: 1 row, before 1"):
        check_feed(feed, [DAY], server_url)


IN_PAGES: dict[str, Any] = {"rows": "items", "pages": NextLink()}


@pytest.mark.proof
@pytest.mark.parametrize(
    ("feed", "answer", "error"),
    [
        pytest.param(
            a_feed(Rounded), b'[{"sale": "a", "amount": 1.005}]', "rounds amount from 1.005 to", id="rounds"
        ),
        pytest.param(
            a_feed(Cut), b'[{"sale": "a", "amount": 1.9}]', "rounds amount from 1.9 to 1.", id="cuts"
        ),
        pytest.param(
            a_feed(stamped()), ROWS, "a second load changed rows: validated_at in the table", id="time"
        ),
        pytest.param(
            a_feed(rows="items"), [FIRST, LAST], "2 answers, but the feed sent 1 request", id="no pages"
        ),
        pytest.param(
            a_feed(**IN_PAGES), [FIRST], "1 answer, but the feed sent another request: GET /", id="endless"
        ),
        pytest.param(
            a_feed(url="http://elsewhere", **IN_PAGES),
            [FIRST, LAST],
            "next page is on another host",
            id="another host",
        ),
        pytest.param(a_feed(), b'[{"sale": "a", "amount"', "the load failed: .*truncated", id="truncated"),
        pytest.param(
            a_feed(expect_rows="3"), ROWS, "the load failed: .*requested 3 rows, received 2", id="rows"
        ),
    ],
)
def test_a_feed_that_is_not_as_its_answers(feed: Feed, answer: Answer, error: str, server_url: str) -> None:
    with pytest.raises(AssertionError, match=f"^2026-01-05: .*{error}"):
        check_feed(feed, {DAY: answer}, server_url)


def test_a_source_that_changes_what_it_received(server_url: str) -> None:
    class Trimming(HttpSource):
        def fetch(self, request: PartitionRequest, add_page: AddPage) -> None:
            super().fetch(
                request,
                lambda page: add_page(
                    replace(page, chunks=(chunk.replace(b" ", b"") for chunk in page.chunks))
                ),
            )

    feed = a_feed(source=Trimming("http://api.example"))

    with pytest.raises(
        AssertionError, match="the source hands over other bytes than the answer, from byte 9 on"
    ):
        check_feed(feed, {DAY: ROWS}, server_url)


@dataclass(kw_only=True)
class Meddling(Feed):
    """A feed with SQL of its own, before or after each load."""

    before: str = "SELECT"
    after: str = "SELECT"

    def definitions(self, settings: Settings | None = None) -> dg.Definitions:
        assert settings is not None
        assert settings.database_url is not None
        url, feed = settings.database_url.get_secret_value(), self

        def execute(statement: str) -> None:
            with engine_for(url).begin() as connection:
                for table in feed.tables.both:
                    table.create(connection, checkfirst=True)
                connection.exec_driver_sql(statement)

        class MeddlingIOManager(FeedIOManager):
            @contextmanager
            def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[PostgresDbIOManager]:
                execute(feed.before)
                with super().yield_for_execution(context) as manager:
                    yield manager
                execute(feed.after)

        made = super().definitions(settings)
        return dg.Definitions(
            assets=made.assets,
            asset_checks=[],
            jobs=made.jobs,
            resources={
                **(made.resources or {}),
                self.io_manager_key: fixed(MeddlingIOManager(database_url=url)),
            },
            executor=made.executor,
        )


def a_meddling_feed(**statements: str) -> Feed:
    given: dict[str, Any] = statements
    return Meddling(name="sales", contract=Sale, source=HttpSource("http://api"), partitions=DAYS, **given)


SURPLUS = "INSERT INTO sales SELECT partition_key, {}, sale, 1 FROM sales ON CONFLICT DO NOTHING"


@pytest.mark.proof
@pytest.mark.parametrize(
    ("after", "error"),
    [
        ("UPDATE sales SET amount = 1", r"row 1: sales.amount has Decimal\('1.00'\), but the contract made"),
        ("UPDATE sales SET sale = clock_timestamp()", "a second load changed rows: sale in the table is"),
        ("UPDATE sales_rejected SET original = 'b'", "row 2 is in the quarantine as 'b', but was sent as"),
        ("UPDATE sales_rejected SET reasons = '{}'", "row 2 is in the quarantine without a reason"),
        ("DELETE FROM sales_rejected", "row 2 is neither in sales nor in sales_rejected"),
        (SURPLUS.format(2), "row 2 is both in sales and in sales_rejected"),
        (SURPLUS.format(9), "row 9 is stored, but only 2 rows were sent"),
    ],
)
def test_a_feed_that_stores_other_rows(after: str, error: str, server_url: str) -> None:
    with pytest.raises(AssertionError, match=error):
        check_feed(a_meddling_feed(after=after), {DAY: ROWS}, server_url)


def test_a_killed_load_that_leaves_a_row(server_url: str) -> None:
    early = "INSERT INTO sales VALUES ('2026-01-05', 9, 'early', 1) ON CONFLICT DO NOTHING"

    with pytest.raises(AssertionError, match="a load that was killed has left 1 row in sales"):
        check_feed(a_meddling_feed(before=early), {DAY: ROWS}, server_url)


def test_a_partition_that_changes_another(server_url: str) -> None:
    late = "DELETE FROM sales_rejected WHERE partition_key < (SELECT max(partition_key) FROM sales)"

    with pytest.raises(
        AssertionError, match="2026-01-06: the load changed rows of other partitions: the quarantine"
    ):
        check_feed(a_meddling_feed(after=late), {DAY: ROWS, NEXT_DAY: ROWS}, server_url)


def test_a_server_that_cannot_be_used_is_no_fault_of_the_feed(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="check_feed cannot create a database of its own"):
        check_feed(a_feed(), {DAY: ROWS}, f"postgresql:///none?host={tmp_path}")
