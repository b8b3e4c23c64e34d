"""The script of the sales report in a browser: filters, tooltips, sorting and CSV, with the numbers of the table."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page

from purchase_pipeline.sales.report.figures import read_sales_figures
from purchase_pipeline.sales.report.page import render_report
from purchase_pipeline_tests.browsers import browser, watched_page
from purchase_pipeline_tests.sold import a_sale, fill

pytestmark = pytest.mark.proof

PRODUCT = '=1+1, "quoted" </script> \u2028'

# Every text, tooltip, number and size on the page.
CONTENT = """() => {
    const parts = ':is(h3, .finding, dt, dd, li, span, th, td, polyline, .more)';
    const size = (one, name) => Number.parseFloat(one.style.getPropertyValue(name)) || 0;
    const points = (one) => (one.getAttribute('points') ?? '').trim().split(/[ ,]+/).map(Number);
    return [...document.querySelectorAll(`article ${parts}`)].map((one) => ({
        name: `${one.tagName} ${one.className}`,
        text: one.children.length ? '' : one.textContent.trim(),
        data: { ...one.dataset },
        sizes: ['--v', '--x', '--y'].map((name) => size(one, name)),
        points: one.tagName === 'polyline' ? points(one) : [],
    }));
}"""


def sales() -> list[dict[str, Any]]:
    """Return purchases of 26 months, more of some stores, months and categories than of others."""
    return [
        a_sale(
            number,
            date_purchase=date.fromordinal(date(2023, 1, 10).toordinal() + (number * number) % 800),
            price=Decimal(number % 97 * 3 + 1) + Decimal("0.35"),
            **({"product": PRODUCT} if number % 14 == 5 else {}),
        )
        for number in range(3000)
    ]


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    """One browser for all tests."""
    with browser() as running:
        yield running


@pytest.fixture
def page(running: Browser, engine: sa.Engine, tmp_path: Path) -> Iterator[Page]:
    """The report, open in English; no error may appear on its console."""
    fill(engine, sales())
    path = tmp_path / "report.html"
    path.write_text(render_report(read_sales_figures(engine), datetime(2026, 11, 24, 12, tzinfo=UTC), "en"))
    with watched_page(running) as watched:
        watched.page.goto(path.as_uri())
        yield watched.page
        assert watched.complaints == []


@pytest.fixture
def purchases(engine: sa.Engine, page: Page) -> pd.DataFrame:  # noqa: ARG001  # filled for the page
    """The purchases as they are in the table, with whole centavos."""
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT * FROM tabela_compras")).mappings().all()
    found = pd.DataFrame([dict(row) for row in rows])
    found = found.sort_values(["date_purchase", "lote", "linha"], ignore_index=True)
    customer = found.groupby(["client_name", "client_lastname", "birthday_client"])
    return found.assign(
        cents=[int(price * 100) for price in found.price],
        month=[day.replace(day=1) for day in found.date_purchase],
        returning=customer.cumcount() > 0,
    )


def chosen(page: Page, first: str, last: str, store: str) -> Page:
    form = page.locator("article[lang=en] form")
    form.locator("[name=first]").select_option(first)
    form.locator("[name=last]").select_option(last)
    form.locator("[name=store]").select_option(store)
    return page


def table(page: Page, key: str) -> list[list[str]]:
    """Return the rows of an exhibit's table: names as shown, numbers exact."""
    rows: list[list[str]] = page.locator(f"article[lang=en] [data-key={key}] tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.dataset.number ?? cell.textContent))"
    )
    return rows


def money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def summed(purchases: pd.DataFrame, by: list[str]) -> list[tuple[Any, ...]]:
    """Return names, purchases and revenue, highest revenue first."""
    sums = purchases.groupby(by).agg(purchases=("cents", "size"), cents=("cents", "sum")).reset_index()
    sums = sums.sort_values(["cents", *by], ascending=[False] + [True] * len(by))
    return [(*row[: len(by)], str(row[-2]), money(row[-1])) for row in sums.itertuples(index=False)]


SELECTIONS = [
    ("2023-01-01", "2025-03-01", ""),
    ("2024-01-01", "2024-12-01", ""),
    ("2023-05-01", "2023-05-01", "2"),
    ("2023-02-01", "2025-01-01", "3"),
]


@pytest.mark.parametrize(("first", "last", "store"), SELECTIONS)
def test_every_number_is_that_of_the_purchases(
    page: Page, purchases: pd.DataFrame, first: str, last: str, store: str
) -> None:
    chosen(page, first, last, store)

    sold = purchases[
        (purchases.month >= date.fromisoformat(first)) & (purchases.month <= date.fromisoformat(last))
    ]
    sold = sold[sold.store == int(store)] if store else sold
    for key, by in {
        "categories": ["category"],
        "payments": ["payment_type"],
        "states": ["state"],
        "brands": ["brand"],
    }.items():
        assert [tuple(row[:3]) for row in table(page, key)] == summed(sold, by), key
    named = [(name.replace("\u2028", "\\u2028"), *rest) for name, *rest in summed(sold, ["product", "brand"])]
    assert sorted((row[0], *row[1:4]) for row in table(page, "products")) == sorted(map(tuple, named))
    assert [tuple(row[:3]) for row in table(page, "stores")] == [
        (f"Store {name}", *rest) for name, *rest in summed(sold, ["store"])
    ]
    months = {name.isoformat(): rest for name, *rest in summed(sold, ["month"])}
    shown = {row[0]: row[1:3] for row in table(page, "months") if row[1] != "0"}
    assert shown == months
    weekdays = {
        name: rest
        for name, *rest in summed(
            sold.assign(weekday=[str(day.weekday()) for day in sold.date_purchase]), ["weekday"]
        )
    }
    assert {row[0]: row[2:4] for row in table(page, "weekdays") if row[2] != "0"} == weekdays
    theirs = {name.isoformat(): rest for name, *rest in summed(sold[sold.returning], ["month"])}
    assert {row[0]: [row[1], row[3]] for row in table(page, "returning") if row[1] != "0"} == theirs
    facts = page.locator("article[lang=en] [data-fact] dd:nth-child(2)").all_inner_texts()
    assert facts[1] == f"{len(sold):,}"
    assert facts[3] == f"{(~sold.returning).sum():,}"
    exact = page.locator("article[lang=en] [data-fact=revenue] .detail").inner_text()
    assert exact == f"R${sold.cents.sum() // 100:,}.{sold.cents.sum() % 100:02}"


def test_the_comparisons_are_by_day_and_of_equal_spans(page: Page, purchases: pd.DataFrame) -> None:
    def a_day(first: date, last: date) -> str:
        sold = purchases[(purchases.date_purchase >= first) & (purchases.date_purchase <= last)]
        return f"{sold.cents.sum() / 100 / ((last - first).days + 1):.2f}"

    newest = purchases.date_purchase.max()
    assert (newest.year, newest.month) == (2025, 3)
    rows = {row[0].split(" against ")[0]: row[3:5] for row in table(page, "compared")}
    before = date(2025, 2, newest.day)

    assert rows == {
        "12 complete months": [
            a_day(date(2024, 3, 1), date(2025, 2, 28)),
            a_day(date(2023, 3, 1), date(2024, 2, 29)),
        ],
        "Complete month": [
            a_day(date(2025, 2, 1), date(2025, 2, 28)),
            a_day(date(2024, 2, 1), date(2024, 2, 29)),
        ],
        "Year to date": [a_day(date(2025, 1, 1), newest), a_day(date(2024, 1, 1), newest.replace(year=2024))],
        "Month in progress": [a_day(date(2025, 3, 1), newest), a_day(date(2025, 2, 1), before)],
    }


def test_the_script_and_the_page_agree(page: Page) -> None:
    written = page.evaluate(CONTENT)

    chosen(page, "2023-05-01", "2024-02-01", "2")
    filtered = page.evaluate(CONTENT)
    page.locator("article[lang=en] [type=reset]").click()
    again = page.evaluate(CONTENT)

    for before, after in zip(written, again, strict=True):
        assert after.pop("sizes") == pytest.approx(before.pop("sizes"), abs=0.001)
        assert after.pop("points") == pytest.approx(before.pop("points"), abs=0.1)
        assert after == before
    assert filtered != again
    assert len(written) > 1000


def test_an_empty_selection_says_so(page: Page) -> None:
    page.evaluate("cuts.day = cuts.day.filter((row) => row.month !== 3)")

    chosen(page, "2023-04-01", "2023-04-01", "")

    assert (
        page.locator("article[lang=en] [role=status]").inner_text()
        == "No purchases in this period and store."
    )
    assert not page.locator("article[lang=en] .exhibit:visible").count()


def test_a_period_that_ends_before_it_begins_is_corrected(page: Page) -> None:
    chosen(page, "2024-06-01", "2023-02-01", "")

    form = page.locator("article[lang=en] form")
    assert (
        form.locator("[name=first]").input_value()
        == form.locator("[name=last]").input_value()
        == "2023-02-01"
    )
    assert form.locator("[role=status]").inner_text() == "Feb 2023 to Feb 2023, All stores"
    assert page.locator("article[lang=pt-BR] form [name=first]").input_value() == "2023-02-01"


def test_tooltips_follow_pointer_keyboard_and_touch(running: Browser, page: Page) -> None:
    tip = page.locator(".tip")
    bars = page.locator("article[lang=en] [data-key=categories] li")
    bars.first.hover()
    assert tip.inner_text().startswith(bars.first.locator(".n").inner_text() + "\nRevenue: R$")

    page.keyboard.press("Escape")
    assert not tip.is_visible()

    bars.first.focus()
    page.keyboard.press("ArrowRight")
    assert tip.inner_text().startswith(bars.nth(1).locator(".n").inner_text())
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(
        bars.nth(1).locator(".n").inner_text()
    )
    page.keyboard.press("Tab")
    assert not page.evaluate("document.activeElement.matches('[data-key=categories] li')")

    with running.new_context(has_touch=True, viewport={"width": 360, "height": 700}, locale="en") as context:
        phone = context.new_page()
        phone.goto(page.url)
        phone.locator("article[lang=en] .tiles li").last.tap()
        box = phone.locator(".tip").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360


def test_a_table_is_sorted_by_its_numbers(page: Page) -> None:
    figure = page.locator("article[lang=en] [data-key=brands]")
    figure.locator("summary").click()
    header = figure.locator("th[scope=col]").nth(2)

    header.locator("button").click()
    ascending = [Decimal(row[2]) for row in table(page, "brands")]
    sorting = header.get_attribute("aria-sort")
    page.keyboard.press("Enter")
    descending = [Decimal(row[2]) for row in table(page, "brands")]

    assert ascending == sorted(ascending)
    assert descending == sorted(descending, reverse=True)
    assert (sorting, header.get_attribute("aria-sort")) == ("ascending", "descending")


def test_the_csv_has_what_is_shown(page: Page) -> None:
    chosen(page, "2024-01-01", "2024-12-01", "1")
    figure = page.locator("article[lang=en] [data-key=products]")
    figure.locator("summary").click()

    with page.expect_download() as download:
        figure.locator(".csv").click()

    assert download.value.suggested_filename == "products.csv"
    text = Path(download.value.path()).read_bytes().decode("utf-8-sig")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == ["Product", "Brand", "Purchases", "Revenue", "Average ticket", "% of revenue"]
    shown = [[f"'{name}" if name.startswith("=") else name, *rest] for name, *rest in table(page, "products")]
    assert rows == shown
    assert any(row[0].startswith("'=1+1") for row in rows)
