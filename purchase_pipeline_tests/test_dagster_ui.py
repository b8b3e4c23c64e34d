"""Dagster's UI as people meet it: of a real campaign, in a real browser, without an error in its console."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from purchase_pipeline_tests.browsers import browser, watched_page
from purchase_pipeline_tests.person import Person, wait_for

pytestmark = pytest.mark.proof

_MILLISECONDS = 60_000  # a page asks for all its scripts at first


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Somebody who has started the whole stack, with its UI, and waits until two lots are loaded."""
    person = Person(tmp_path_factory.mktemp("home"))
    words = ["--lots", "2", "--rows", "500", "--defects", "0.02", "--every", "1"]
    up = person.start("up", *words, "--port", str(person.port), "--api-port", str(person.api_port))
    try:
        assert up.stdout is not None
        assert any("Everything stays up" in line for line in up.stdout)
        yield person
    finally:
        up.terminate()
        up.communicate(timeout=60)
        person.run("down")


@pytest.fixture(scope="module")
def running(person: Person) -> Iterator[Browser]:  # noqa: ARG001  (there must be something to look at)
    """One browser for all tests."""
    with browser() as running:
        yield running


class Dagster:
    """The UI in one page of the browser."""

    def __init__(self, page: Page, port: int) -> None:
        self.page = page
        self._address = f"http://127.0.0.1:{port}"

    def open(self, path: str) -> Page:
        self.page.goto(self._address + path)
        return self.page

    def see(self, text: str | re.Pattern[str]) -> None:
        """Wait until a text is to be seen."""
        expect(self.page.get_by_text(text).first).to_be_visible()


@pytest.fixture
def dagster(person: Person, running: Browser) -> Iterator[Dagster]:
    """The UI; in the end, nothing went wrong on its page."""
    expect.set_options(timeout=_MILLISECONDS)
    with watched_page(running, width=1440, height=1000) as watched:
        watched.page.set_default_timeout(20_000)
        yield Dagster(watched.page, person.port)
        assert watched.complaints == []


@pytest.mark.parametrize(
    ("group", "assets"),
    [
        ("ingest", ["raw_purchases", "tabela_compras", "compras_rejeitadas"]),
        ("sales", ["sales_by_lot", "revenue_by_state", "sales_report"]),
    ],
)
def test_the_asset_graph_is_drawn(dagster: Dagster, group: str, assets: list[str]) -> None:
    page = dagster.open(f"/locations/purchase_pipeline/asset-groups/{group}")

    for name in assets:
        expect(page.locator("foreignObject").filter(has_text=name).first).to_be_attached()


def test_an_asset_tells_what_it_is(dagster: Dagster) -> None:
    dagster.open("/assets/tabela_compras?view=overview")

    for text in (
        "Purchases that keep the contract",
        "Client's occupation",
        "at most 12 digits",
        "public.tabela_compras",
        "Warns if more than 12 hours since last materialization",
    ):
        dagster.see(text)
    expect(dagster.page.get_by_text("980", exact=True).first).to_be_visible()  # its rows


def test_a_lot_is_materialized_at_a_click(dagster: Dagster, person: Person) -> None:
    page = dagster.open("/locations/purchase_pipeline/jobs/ingest_lote")

    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog").first
    dialog.get_by_role("button", name="Custom").click()
    dialog.get_by_text("lote-0001").first.click()
    page.get_by_text("Select all").click()
    page.get_by_text("lote-0002", exact=True).locator("visible=true").last.click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Launch 1 run").click()
    expect(page.get_by_role("dialog")).to_have_count(0)

    dagster.open("/runs")
    expect(page.get_by_text("Success").nth(2)).to_be_visible()  # the sensor's two, and this
    wait_for(lambda: person.counts() == (980, 2, 980))


def test_the_sensor_says_what_it_saw(dagster: Dagster) -> None:
    page = dagster.open("/locations/purchase_pipeline/sensors/missing_lots")

    page.get_by_role("button", name="0 runs requested").first.click()

    dagster.see(re.compile(r"2 of 2 lots loaded, \d in flight, 0 to go"))


def test_checks_are_read_without_opening_anything(dagster: Dagster) -> None:
    dagster.open("/assets/tabela_compras?view=checks&checkDetail=every_row_is_accounted_for")

    dagster.see("1 lot: 500 rows received, 490 loaded + 10 rejected.")


def test_the_sales_follow_by_themselves(dagster: Dagster, person: Person) -> None:
    report = person.home / "reports" / "sales-report.html"

    wait_for(report.exists, seconds=200)

    dagster.open("/assets/sales_report?view=overview")
    dagster.see(str(report))
    page = dagster.page
    page.goto(report.as_uri())
    expect(page.get_by_text("980").first).to_be_visible()
    assert len([svg for svg in page.locator("svg:visible").all() if svg.bounding_box()]) > 5
